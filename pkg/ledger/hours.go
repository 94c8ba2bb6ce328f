package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Over is the price of a time that a server of one's own was at work, rounded down to whole pico-dollars; 0 where calls are
// paid by the token.
func (p Price) Over(d time.Duration) (int64, error) {
	hi, lo := bits.Mul64(uint64(max(d, 0)), uint64(p.Hour))
	if hi >= uint64(time.Hour) {
		return 0, ErrOverflow
	}
	pico, _ := bits.Div64(hi, lo, uint64(time.Hour))
	if int64(pico) < 0 {
		return 0, ErrOverflow
	}
	return int64(pico), nil
}

// Together closes what dead processes had in flight at a price by the hour. Each call has reserved the longest that one may
// take; together they took no longer: the first of each process stays reserved, and the others have cost nothing.
func (b *Book) Together(priceID string) error {
	dead, process := `id<=`+fmt.Sprint(b.first), `0`
	if b.d.shared {
		dead, process = `NOT `+b.d.alive("(id>>32)"), `id>>32`
	}
	open := `ended IS NULL AND price_id=? AND id NOT IN (SELECT attempt FROM lines) AND ` + dead
	var freed int64
	err := b.d.do(func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT id, reserved, `+process+` FROM attempts WHERE `+open+` ORDER BY id`, priceID)
		first, all := map[int64]int64{}, map[int64]*int64{} // process → attempt that stays reserved; attempt → cost
		freed = 0
		err = each(rows, err, func() error {
			var id, reserved, process int64
			err := rows.Scan(&id, &reserved, &process)
			if all[id] = nil; first[process] == 0 {
				first[process] = id
				return err
			}
			all[id] = new(int64)
			sum, serr := Add(freed, reserved)
			freed = sum
			return errors.Join(err, serr)
		})
		for id, cost := range all {
			if err == nil {
				_, err = tx.Exec(`UPDATE attempts SET ended=started, outcome=?, cost=? WHERE id=?`, Cut, cost, id)
			}
		}
		if err == nil && b.d.shared {
			_, err = tx.Exec(`UPDATE budget SET committed=committed-?`, freed)
		}
		return err
	})
	if err == nil && !b.d.shared {
		b.release(0, 0, -freed)
	}
	return b.wrap(err)
}
