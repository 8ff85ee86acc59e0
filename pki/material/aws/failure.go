package aws

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sallyport-project/sallyport/pki/material"
)

// status is the HTTP status of the answer that an error stands for; 0 if there was none.
func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// describe says what went wrong in the service's own words, without the ids of requests, which differ each time. What it
// returns wraps fs.ErrNotExist, fs.ErrPermission or material.ErrConflict where the answer means that.
func describe(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		if code := status(err); code != 0 {
			return fmt.Errorf("the service answers %d %s", code, http.StatusText(code))
		}
		return unanswered(err)
	}
	text := fmt.Errorf("the service answers %s", api.ErrorCode())
	if code := status(err); code != 0 {
		text = fmt.Errorf("the service answers %d %s", code, api.ErrorCode())
	}
	if message := strings.TrimSuffix(api.ErrorMessage(), "."); message != "" && message != api.ErrorCode() {
		text = fmt.Errorf("%w: %s", text, message)
	}
	if meaning := meaningOf(api.ErrorCode(), status(err)); meaning != nil {
		return material.Meaning(text, meaning)
	}
	return text
}

// meaningOf maps codes of S3 (Amazon S3 API Reference, "Error responses"), Secrets Manager and KMS. A status decides where
// the body held no code.
func meaningOf(code string, status int) error {
	switch code {
	case "NoSuchKey", "NoSuchBucket", "NoSuchVersion", "ResourceNotFoundException", "NotFoundException":
		return fs.ErrNotExist
	case "PreconditionFailed", "ConditionalRequestConflict":
		return material.ErrConflict
	}
	switch status {
	case http.StatusNotFound:
		return fs.ErrNotExist
	case http.StatusUnauthorized, http.StatusForbidden:
		return fs.ErrPermission
	case http.StatusPreconditionFailed:
		return material.ErrConflict
	}
	return nil
}

// unanswered describes why there was no answer.
func unanswered(err error) error {
	var canceled *smithy.CanceledError
	var operation *smithy.OperationError
	switch {
	case errors.As(err, &canceled):
		return canceled
	case errors.As(err, &operation):
		return material.Unreachable(operation.Err)
	}
	return material.Unreachable(err)
}
