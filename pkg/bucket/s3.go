package bucket

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // s3://
)

// settings are what a URL may say of its bucket: those of gocloud.dev/blob/s3blob that are no secrets.
var settings = []string{"endpoint", "region", "profile", "anonymous", "role", "ssetype", "kmskeyid", "dualstack", "fips",
	"use_path_style", "request_checksum_calculation", "response_checksum_validation"}

// bucketURL is the URL of the bucket alone. At an endpoint of one's own, buckets are paths, not host names, and a region is
// but part of the signature.
func bucketURL(u url.URL) string {
	q := u.Query()
	if q.Has("endpoint") {
		if !q.Has("use_path_style") {
			q.Set("use_path_style", "true")
		}
		if !q.Has("region") && !q.Has("profile") && os.Getenv("AWS_REGION") == "" && os.Getenv("AWS_DEFAULT_REGION") == "" {
			q.Set("region", "us-east-1")
		}
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, RawQuery: q.Encode()}).String()
}

// tagOf tells versions of a listed object apart.
func tagOf(o *blob.ListObject) string {
	var s types.Object
	if o.As(&s) && s.ETag != nil {
		return *s.ETag
	}
	return o.ModTime.UTC().String()
}

// sameVersion lets a read fail where the object is another than that of the tag.
func sameVersion(tag string) *blob.ReaderOptions {
	return &blob.ReaderOptions{BeforeRead: func(as func(any) bool) error {
		var in *s3.GetObjectInput
		if as(&in) {
			in.IfMatch = aws.String(tag)
		}
		var with *[]func(*s3.Options)
		if as(&with) {
			*with = append(*with, func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true }) // it would print a line a read
		}
		return nil
	}}
}

// codeOf is the server's word for an error, "" where it is not the server's.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// refusals are S3's codes for keys that are wrong or may not do this, and VersityGW's for one that it does not know.
var refusals = []string{"AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
	"TokenRefreshRequired", "AccountProblem", "AllAccessDisabled", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed", "XAdminUserNotFound"}

// kindOf sorts the errors of S3 that gocloud.dev knows no code for; nil for others.
func kindOf(err error) error {
	code := codeOf(err)
	var response *awshttp.ResponseError
	var network net.Error
	switch {
	case slices.Contains(refusals, code), noKeys(err):
		return ErrRefused
	case code == "NoSuchBucket", code == "NoSuchKey", code == "NotFound":
		return fs.ErrNotExist
	case code == "PreconditionFailed", code == "ConditionalRequestConflict":
		return ErrRaced
	case code == "SlowDown", code == "RequestTimeout", code == "ServiceUnavailable":
		return ErrTemporary
	case errors.As(err, &network):
		return ErrTemporary
	case errors.As(err, &response):
		switch status := response.HTTPStatusCode(); {
		case status == http.StatusForbidden, status == http.StatusUnauthorized:
			return ErrRefused
		case status >= 500 && status != http.StatusNotImplemented, status == http.StatusTooManyRequests:
			return ErrTemporary
		}
	}
	return nil
}

// noKeys says whether the driver found no keys to sign with.
func noKeys(err error) bool { return strings.Contains(err.Error(), "get identity: ") }

// replacing lets a write fail where the object is another than that of the tag.
func replacing(tag string) func(as func(any) bool) error {
	return func(as func(any) bool) error {
		var in *transfermanager.UploadObjectInput
		if !as(&in) {
			return errors.New("this kind of bucket has no way to replace one version of an object")
		}
		in.IfMatch = aws.String(tag)
		return nil
	}
}

// Sweep ends uploads below a URL that were begun so long ago that their writer must have been killed: they are no objects, and
// are paid for. A server that knows no such uploads has none.
func Sweep(ctx context.Context, s string, age time.Duration) error {
	b, p, err := open(s)
	if err != nil {
		return err
	}
	var client *s3.Client
	if !b.As(&client) {
		return nil
	}
	list, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &p.u.Host, Prefix: aws.String(p.key)})
	if err != nil {
		if code := codeOf(err); code == "NotImplemented" || code == "AccessDenied" {
			return nil
		}
		return named(p, err)
	}
	for _, u := range list.Uploads {
		if u.Initiated == nil || time.Since(*u.Initiated) < age {
			continue
		}
		if _, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &p.u.Host, Key: u.Key, UploadId: u.UploadId}); err != nil {
			return named(p, err)
		}
	}
	return nil
}
