package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// attempts reads money and tokens, by batch, step and model. A call is one identity within such a group, so that the
// sums over batches, steps and models all give the same number.
func (t *tally) attempts(*Cost) error {
	rows, err := t.tx.Query(`SELECT batch, step, model, count(DISTINCT CASE WHEN outcome='unsent' THEN NULL ELSE identity END),
		count(CASE WHEN outcome='unsent' THEN NULL ELSE 1 END), coalesce(sum(cost),0),
		coalesce(sum(CASE WHEN outcome='answered' THEN 0 ELSE cost END),0),
		coalesce(sum(CASE WHEN cost IS NULL THEN reserved END),0),
		coalesce(sum(input),0), coalesce(sum(cached),0), coalesce(sum(cache_write),0), coalesce(sum(output),0), coalesce(sum(reasoning),0)
		FROM attempts GROUP BY batch, step, model`)
	return each(rows, err, func() error {
		var batch, step, model string
		var b BatchCost
		if err := rows.Scan(&batch, &step, &model, &b.Calls, &b.Attempts, &b.Spent, &b.Wasted, &b.UnsettledMax,
			&b.Tokens.Input, &b.Tokens.Cached, &b.Tokens.CacheWrite, &b.Tokens.Output, &b.Tokens.Reasoning); err != nil {
			return err
		}
		return t.add(batch, step, model, b)
	})
}

func (t *tally) add(batch, step, model string, g BatchCost) (err error) {
	m, s, b := t.models[model], t.steps[step], t.batch(batch)
	if m == nil {
		m = &ModelCost{Model: model}
		t.models[model] = m
	}
	if s == nil {
		s = &StepCost{Step: step}
		t.steps[step] = s
	}
	for _, p := range []struct {
		dst *int64
		n   int64
	}{{&m.Calls, g.Calls}, {&m.Spent, g.Spent}, {&s.Calls, g.Calls}, {&s.Spent, g.Spent}, {&b.Calls, g.Calls}, {&b.Attempts, g.Attempts},
		{&b.Spent, g.Spent}, {&b.Wasted, g.Wasted}, {&b.UnsettledMax, g.UnsettledMax}} {
		var e error
		*p.dst, e = Add(*p.dst, p.n)
		err = errors.Join(err, e)
	}
	return errors.Join(err, b.Tokens.add(g.Tokens))
}

// asked reads how reports were answered.
func (t *tally) asked(c *Cost) error {
	rows, err := t.tx.Query(`SELECT batch, count(DISTINCT study), coalesce(sum(CASE WHEN kind IN ('store','call') THEN saved END),0),
		coalesce(sum(CASE kind WHEN 'dedupe' THEN saved END),0) FROM asked GROUP BY batch`)
	err = each(rows, err, func() (err error) {
		var batch string
		var studies, store, dedupe int64
		if err := rows.Scan(&batch, &studies, &store, &dedupe); err != nil {
			return err
		}
		b := t.batch(batch)
		b.Reports = max(b.Reports, studies)
		var errs [2]error
		c.Saved.Store, errs[0] = Add(c.Saved.Store, store)
		c.Saved.Dedupe, errs[1] = Add(c.Saved.Dedupe, dedupe)
		return errors.Join(errs[:]...)
	})
	if err != nil {
		return err
	}
	var distinct int64
	if err := t.tx.QueryRow(`SELECT count(DISTINCT report) FROM asked`).Scan(&distinct); err != nil {
		return err
	}
	if distinct > 0 {
		c.DistinctReports = &distinct
	}
	return nil
}

// compute reads the computing, and what the rules saved: reports of a step that were never asked of its endpoint.
func (t *tally) compute(c *Cost) error {
	rows, err := t.tx.Query(`SELECT c.batch, c.step, c.reports, c.cpu_seconds, c.gpu_seconds, coalesce(a.n,0)
		FROM compute c LEFT JOIN (SELECT batch, step, count(*) n FROM asked GROUP BY batch, step) a USING (batch, step)
		ORDER BY c.batch, c.step`)
	return each(rows, err, func() error {
		var batch, step string
		var reports, asked int64
		var cpu, gpu float64
		if err := rows.Scan(&batch, &step, &reports, &cpu, &gpu, &asked); err != nil {
			return err
		}
		b := t.batch(batch)
		b.Reports = max(b.Reports, reports)
		b.CPUSeconds += cpu
		b.GPUSeconds += gpu
		s := t.steps[step]
		if s == nil || s.Calls == 0 {
			return nil
		}
		saved, err := Mul(max(reports-asked, 0), s.Spent/s.Calls)
		if err == nil {
			c.Saved.Rules, err = Add(c.Saved.Rules, saved)
		}
		return err
	})
}

// lines reads what the batch tier saved. A ledger older than it has no such table.
func (t *tally) lines(c *Cost) error {
	err := t.tx.QueryRow(`SELECT coalesce(sum(saved),0) FROM lines`).Scan(&c.Saved.BatchMode)
	if err != nil && strings.Contains(err.Error(), "no such table") {
		return nil
	}
	return err
}

func (t *tally) meta(c *Cost) error {
	rows, err := t.tx.Query(`SELECT key, value FROM meta`)
	return each(rows, err, func() error {
		var key, value string
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		switch key {
		case "price_file":
			c.PriceFile = value
		case "cap":
			_, err := fmt.Sscan(value, &c.CapPico)
			return err
		case "estimate":
			c.Estimate = &Estimate{}
			_, err := fmt.Sscan(value, &c.Estimate.Low, &c.Estimate.Expected, &c.Estimate.High)
			return err
		}
		return nil
	})
}

// column reads rows of one value.
func column[T any](rows *sql.Rows, err error) (all []T, _ error) {
	err = each(rows, err, func() error {
		var v T
		err := rows.Scan(&v)
		all = append(all, v)
		return err
	})
	return all, err
}

func each(rows *sql.Rows, err error, row func() error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(); err != nil {
			return err
		}
	}
	return rows.Err()
}
