package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// A ledger or store that several processes use is a schema of a Postgres database. One session of each process writes;
// its advisory locks are the process's leases: they end when it ends, whatever ends it, and no clock is asked.

// ErrLost says that a database's server did not answer, or broke the connection. What was written is kept.
var ErrLost = errors.New("no connection to the database")

// lost marks an error of a connection: one that is not the server's own, or says that it is going down or coming up
// (class 57P) or that it takes no connection (08).
func lost(err error) error {
	var e *pgconn.PgError
	own := errors.As(err, &e) && !strings.HasPrefix(e.Code, "57P") && !strings.HasPrefix(e.Code, "08")
	if err == nil || own || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && e == nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

func isPostgres(location string) bool {
	return strings.HasPrefix(location, "postgres://") || strings.HasPrefix(location, "postgresql://")
}

// openPostgres makes or opens a schema: the one that the location's parameter schema names, else "silverbeam". ddl is
// applied; "" opens it to read.
func openPostgres(location, ddl string, commitEvery time.Duration) (*database, error) {
	config, schema, err := parsePostgres(location)
	if err != nil {
		return nil, err
	}
	path := fmt.Sprintf("postgres://%s:%d/%s, schema %s", config.Host, config.Port, config.Database, schema)
	d := &database{path: path, db: sql.OpenDB(postgresConnector{stdlib.GetConnector(*config)}), shared: true, class: leases(schema), commitEvery: commitEvery}
	d.db.SetMaxOpenConns(5)
	if ddl == "" {
		d.closed = true // to writers
		if err = d.db.Ping(); err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", path, err), d.db.Close())
		}
		return d, err
	}
	d.ops, d.done = make(chan op, 256), make(chan struct{})
	if err = d.connect(schema, ddl); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), d.db.Close())
	}
	go d.write()
	return d, nil
}

// parsePostgres reads a location. A password is refused: arguments and run folders can be read by others.
func parsePostgres(location string) (config *pgx.ConnConfig, schema string, err error) {
	u, err := url.Parse(location)
	if err != nil {
		return nil, "", errors.New("the postgres: URL cannot be read")
	}
	q := u.Query()
	if _, has := u.User.Password(); has || q.Has("password") {
		return nil, "", errors.New("the postgres: URL holds a password: give it by PGPASSWORD or in ~/.pgpass")
	}
	schema = cmp.Or(q.Get("schema"), "silverbeam")
	if strings.Trim(schema, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || len(schema) > 63 {
		return nil, "", errors.New("the postgres: URL's schema may hold a-z, 0-9 and _ only")
	}
	q.Del("schema")
	u.RawQuery = q.Encode()
	if config, err = pgx.ParseConfig(u.String()); err != nil {
		return nil, "", err
	}
	for key, value := range map[string]string{"search_path": schema, "application_name": "silverbeam",
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"} { // a lost host's leases end after 25 s
		config.RuntimeParams[key] = value
	}
	return config, schema, nil
}

// leases is the space of a schema's openers among the database's advisory locks.
func leases(schema string) int32 {
	h := fnv.New32a()
	h.Write([]byte(schema))
	return int32(h.Sum32())
}

var toPostgres = strings.NewReplacer("id INTEGER PRIMARY KEY", "id BIGINT PRIMARY KEY", "INTEGER", "BIGINT", "BLOB", "BYTEA", "REAL", "DOUBLE PRECISION",
	") WITHOUT ROWID", ")")

// connect takes the session that writes, makes the tables, and gets this opener a number and its lease.
func (d *database) connect(schema, ddl string) (err error) {
	ctx := context.Background()
	if d.session, err = d.db.Conn(ctx); err != nil {
		return err
	}
	tx, err := d.session.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var made bool // if so, not to be touched: even IF NOT EXISTS takes locks that writers may wait for
	if _, err = tx.Exec(`SELECT pg_advisory_xact_lock(?, 0)`, d.class); err == nil {
		err = tx.QueryRow(`SELECT to_regclass('` + schema + `.openers') IS NOT NULL`).Scan(&made)
	}
	if err == nil && !made {
		_, err = tx.Exec("CREATE SCHEMA IF NOT EXISTS " + schema + ";" + toPostgres.Replace(ddl) + ";CREATE SEQUENCE openers MAXVALUE 2147483647")
	}
	if err = errors.Join(err, tx.Commit()); err != nil {
		return err
	}
	if err = d.session.QueryRowContext(ctx, `SELECT nextval('openers')`).Scan(&d.opener); err == nil {
		_, err = d.session.ExecContext(ctx, `SELECT pg_advisory_lock(?, CAST(? AS INTEGER))`, d.class, d.opener)
	}
	return err
}

// alive is an SQL condition: the opener of this number still holds its lease.
func (d *database) alive(opener string) string {
	return opener + ` IN (` + d.openers() + `)`
}

// openers selects the numbers of all openers that hold their lease.
func (d *database) openers() string {
	return fmt.Sprintf(`SELECT CAST(objid AS BIGINT) FROM pg_locks WHERE locktype='advisory' AND objsubid=2 AND CAST(classid AS BIGINT)=%d
		AND database=(SELECT oid FROM pg_database WHERE datname=current_database())`, uint32(d.class))
}

// lease takes a lock of this session's by number, if no other session has it. It is given back by unlease, or by the end.
func (d *database) lease(n int64) (got bool, err error) {
	err = d.do(func(tx *sql.Tx) error {
		if got { // in a group that is done again: what a session has locked it keeps
			return nil
		}
		return tx.QueryRow(`SELECT pg_try_advisory_lock(?)`, n).Scan(&got)
	})
	return got, err
}

func (d *database) unlease(n int64) error {
	done := false
	return d.do(func(tx *sql.Tx) error {
		if done {
			return nil
		}
		done = true
		_, err := tx.Exec(`SELECT pg_advisory_unlock(?)`, n)
		return err
	})
}

func deadlocked(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "40P01"
}

// postgresConnector gives connections that take this package's SQL.
type postgresConnector struct{ driver.Connector }

func (p postgresConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, lost(err)
	}
	return postgresConn{c.(*stdlib.Conn)}, nil
}

type postgresConn struct{ *stdlib.Conn }

func (c postgresConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	r, err := c.Conn.ExecContext(ctx, postgresSQL(query), args)
	return r, lost(err)
}

func (c postgresConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := c.Conn.QueryContext(ctx, postgresSQL(query), args)
	return r, lost(err)
}

func (c postgresConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.PrepareContext(ctx, postgresSQL(query))
	return s, lost(err)
}

var postgresQueries sync.Map

// postgresSQL turns a statement of this package, written for SQLite, into one of Postgres: the two ways in which they
// differ are parameters and rows that are there already.
func postgresSQL(query string) string {
	if q, ok := postgresQueries.Load(query); ok {
		return q.(string)
	}
	parts := strings.Split(query, "?")
	var b strings.Builder
	for i, p := range parts {
		b.WriteString(p)
		if i < len(parts)-1 {
			b.WriteString("$" + strconv.Itoa(i+1))
		}
	}
	q := b.String()
	if rest, ok := strings.CutPrefix(q, "INSERT OR IGNORE"); ok {
		q = "INSERT" + rest + " ON CONFLICT DO NOTHING"
	}
	postgresQueries.Store(query, q)
	return q
}
