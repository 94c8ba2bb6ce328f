# DeLong by pROC (Debian's r-cran-proc): reads lines of case,y,a,b, prints case,auc,variance,low,high,covariance,p.
# NA where a class has fewer than two rows, or the test has nothing to divide by.
suppressMessages(library(pROC))
d <- read.csv(file("stdin"), header = FALSE, col.names = c("case", "y", "a", "b"))
for (x in split(d, d$case)) {
  if (sum(x$y == 1) < 2 || sum(x$y == 0) < 2) next
  suppressWarnings({
    a <- roc(x$y, x$a, direction = "<", levels = 0:1, quiet = TRUE)
    b <- roc(x$y, x$b, direction = "<", levels = 0:1, quiet = TRUE)
    ci <- ci.auc(a, method = "delong")
    t <- roc.test(a, b, method = "delong", paired = TRUE)
    cat(sprintf("%d,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g\n", x$case[1], auc(a), var(a, method = "delong"), ci[1], ci[3], cov(a, b, method = "delong"), t$p.value))
  })
}
