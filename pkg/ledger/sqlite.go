package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"modernc.org/sqlite" // the driver, pure Go
)

// openSQL opens a SQLite file whose connections keep their compiled statements: to compile one takes longer than to run it.
func openSQL(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(sqliteConnector{c})
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return db, nil
}

type sqliteConnector struct{ driver.Connector }

func (s sqliteConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteConn{c.(bareConn), map[string]driver.Stmt{}}, nil
}

// bareConn is what the driver's connections can do.
type bareConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteConn keeps the statements that have parameters. Each of them runs to its end before it runs again.
type sqliteConn struct {
	bareConn
	kept map[string]driver.Stmt
}

func (c *sqliteConn) Unwrap() driver.Conn { return c.bareConn }

func (c *sqliteConn) statement(ctx context.Context, query string) (driver.Stmt, error) {
	if s := c.kept[query]; s != nil {
		return s, nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err == nil {
		c.kept[query] = s
	}
	return s, err
}

func (c *sqliteConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 {
		return c.bareConn.ExecContext(ctx, query, args)
	}
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (c *sqliteConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if len(args) == 0 {
		return c.bareConn.QueryContext(ctx, query, args)
	}
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.(driver.StmtQueryContext).QueryContext(ctx, args)
}

// insert is apply without database/sql, which takes as long as SQLite to take the arguments of an entry.
func (c *sqliteConn) insert(entries []entry) error {
	var args []driver.NamedValue
	for _, l := range entries {
		s, err := c.statement(context.Background(), statements[l.statement])
		if err != nil {
			return err
		}
		args = args[:0]
		for i, a := range l.args {
			args = append(args, driver.NamedValue{Ordinal: i + 1, Value: a})
		}
		if _, err = s.(driver.StmtExecContext).ExecContext(context.Background(), args); err != nil {
			return err
		}
	}
	return nil
}

func (c *sqliteConn) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.bareConn.Close())...)
}
