package fit

import (
	"context"
	"fmt"
	"math"

	"silverbeam/pkg/net"
)

// validator judges an epoch's weights by studies that are not trained on: a model in evaluation, of each study the first
// reconstruction and, for clip, what EmbedReports takes of its report.
type validator struct {
	model  *Model
	corpus *corpus
	batch  int    // studies whose pairs are told from each other
	beat   func() // called between batches: a heartbeat
}

// hold parts what validates from what is trained on: nil where nothing does. other gives a split of the same data set.
func (c *corpus) hold(o Options, other func(split string) (*corpus, error)) (train, valid *corpus, err error) {
	split, share, err := ParseValidate(o.Validate)
	switch {
	case err != nil || o.Validate == "":
		return c, nil, err
	case split != "":
		valid, err = other(split)
		return c, valid, err
	}
	valid, train = c.cut("validate", share)
	if len(train.studies) == 0 {
		return nil, nil, fmt.Errorf("validate %s: none of %d studies would be left to train on", o.Validate, len(c.studies))
	}
	return train, valid, nil
}

func newValidator(m *Model, c *corpus, beat func()) *validator {
	return &validator{m, c, m.Config.Batch, beat}
}

// loss of weights over all studies: for supervised the mean binary cross entropy of the known labels, for clip the mean of
// InfoNCE over batches of even sizes, at most that of training. Objectives, augmentation and dropout have no part in it, so
// that epochs are comparable.
func (v *validator) loss(ctx context.Context, weights map[string]net.Tensor) (float64, error) {
	if err := v.model.reload(weights); err != nil {
		return 0, err
	}
	n := len(v.corpus.studies)
	parts, sum, of := (n+v.batch-1)/v.batch, 0.0, 0.0
	for i := range parts {
		some := v.corpus.studies[i*n/parts : (i+1)*n/parts]
		loss, weight, err := v.part(ctx, some)
		if err != nil {
			return 0, fmt.Errorf("validation: %w", err)
		}
		sum, of = sum+loss, of+weight
		v.beat()
	}
	if of == 0 {
		return 0, fmt.Errorf("validation: none of %d studies has a known label", n)
	}
	return sum / of, nil
}

// part is the sum of losses over some studies, and of how many.
func (v *validator) part(ctx context.Context, studies []study) (sum, of float64, err error) {
	var volumes []scan
	var texts []Passage
	for _, s := range studies {
		volumes, texts = append(volumes, s.volumes[0]), append(texts, Passage{Report: s.report, Study: s.id})
	}
	if v.model.Config.Recipe == Supervised {
		logits, err := v.model.volumes(ctx, "logits", volumes)
		if err != nil {
			return 0, 0, err
		}
		sum, of = bceOf(logits, studies)
		return sum, of, nil
	}
	images, err := v.model.volumes(ctx, "image_embedding", volumes)
	if err != nil {
		return 0, 0, err
	}
	reports, err := v.model.EmbedReports(ctx, texts, false)
	if err != nil {
		return 0, 0, err
	}
	n := float64(len(studies))
	return n * infoNCE(images, reports, v.model.Scale()), n, nil
}

// bceOf sums binary cross entropies with logits over known labels, and counts them.
func bceOf(logits [][]float32, studies []study) (sum, known float64) {
	for i, s := range studies {
		for f, l := range s.labels {
			y := target(l)
			if y == unknown {
				continue
			}
			x := float64(logits[i][f])
			sum += max(x, 0) - x*float64(y) + math.Log1p(math.Exp(-math.Abs(x)))
			known++
		}
	}
	return sum, known
}

// infoNCE is the mean of both sides' cross entropies of pairs of unit vectors (Radford et al. 2021).
func infoNCE(a, b [][]float32, scale float64) (loss float64) {
	n := len(a)
	logit := func(i, j int) (sum float64) {
		for k, x := range a[i] {
			sum += float64(x) * float64(b[j][k])
		}
		return scale * sum
	}
	for i := range n {
		row, column := make([]float64, n), make([]float64, n)
		for j := range n {
			row[j], column[j] = logit(i, j), logit(j, i)
		}
		loss += (logSumExp(row) + logSumExp(column) - 2*row[i]) / 2
	}
	return loss / float64(n)
}

func logSumExp(x []float64) (sum float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}
