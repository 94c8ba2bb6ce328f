"""Repeats a phantom data set's reports to N rows, one a line, each with an id of its own: columns id, report.

Usage: python reports.py PHANTOM_FOLDER N OUT.csv   (the folder is what `silverbeam phantom --out` made)
"""
import csv
import pathlib
import sys

folder, n, out = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
reports = {}
for path in sorted(folder.glob("dataset/radiology_text_reports/*.csv")):
    for row in csv.DictReader(path.open(newline="", encoding="utf-8")):
        study = row["VolumeName"].rsplit("_", 1)[0]  # the volumes of a study share their report
        reports[study] = " ".join((row["Findings_EN"] + " " + row["Impressions_EN"]).split())
texts = list(reports.values())
with open(out, "w", newline="", encoding="utf-8") as f:
    w = csv.writer(f, lineterminator="\n")
    w.writerow(["id", "report"])
    w.writerows((f"r{i:07d}", texts[i % len(texts)]) for i in range(n))
print(f"{n} rows of {len(texts)} distinct reports, mean {sum(map(len, texts)) / len(texts):.0f} characters")
