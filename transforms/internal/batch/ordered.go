package batch

import "iter"

// Ordered gives f of every item, in the items' order, while up to ahead of them are worked on. Each call of f holds one
// of the process's cores.
func Ordered[T, R any](ahead int, items []T, f func(T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		queue, stop := make(chan chan R, ahead), make(chan struct{})
		defer close(stop)
		go func() {
			defer close(queue)
			for _, it := range items {
				c := make(chan R, 1)
				select {
				case queue <- c:
				case <-stop:
					return
				}
				go func() {
					cores <- struct{}{}
					defer func() { <-cores }()
					c <- f(it)
				}()
			}
		}()
		for c := range queue {
			if !yield(<-c) {
				return
			}
		}
	}
}
