package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"gocloud.dev/gcerrors"
)

var (
	// ErrTemporary is a world that may be better later: the network or the server.
	ErrTemporary = errors.New("temporary failure")
	// ErrRefused is a key that is missing or wrong, or may not do this.
	ErrRefused = errors.New("access refused")
	// ErrRaced is an object that is not the one that was to be replaced, or is there already.
	ErrRaced = errors.New("another writer was here")
)

// named makes one of our errors of a driver's.
func named(p place, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", p, err)
	}
	kind := kindOf(err)
	if kind == nil {
		switch gcerrors.Code(err) {
		case gcerrors.NotFound:
			kind = fs.ErrNotExist
		case gcerrors.PermissionDenied:
			kind = ErrRefused
		case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
			kind = ErrRaced
		case gcerrors.DeadlineExceeded, gcerrors.ResourceExhausted, gcerrors.Internal:
			kind = ErrTemporary
		default:
			return fmt.Errorf("%s: %s", p, cause(err))
		}
	}
	return fmt.Errorf("%s: %w: %s", p, kind, cause(err))
}

// cause is the end of a driver's error: what comes before tells of its layers and of request ids.
func cause(err error) string {
	if noKeys(err) {
		return "no keys in the environment"
	}
	if code := codeOf(err); code != "" {
		return code
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	parts := strings.Split(text, ": ")
	return strings.Join(parts[max(0, len(parts)-2):], ": ")
}
