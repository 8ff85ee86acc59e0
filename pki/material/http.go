package material

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxRedirects is how many redirects are followed, all of them within one host.
const maxRedirects = 3

// webFetcher gets http and https addresses.
type webFetcher struct{ client *http.Client }

var web = newWebFetcher()

func newWebFetcher() webFetcher {
	return webFetcher{&http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableCompression:     true, // the limit is on what is sent
			MaxResponseHeaderBytes: 64 << 10,
			IdleConnTimeout:        90 * time.Second,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: sameHost,
	}}
}

// sameHost keeps redirects on the host that the configuration names, which is all that the allow-list has judged.
func sameHost(request *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case request.URL.Host != first.Host || request.URL.Scheme != first.Scheme:
		return fmt.Errorf("it redirects to %s://%s, which is not followed: name that address itself", request.URL.Scheme, request.URL.Host)
	case len(via) > maxRedirects:
		return errors.New("it redirects too often")
	}
	return nil
}

// Fetch asks by a conditional GET (RFC 9110, 13.1).
func (f webFetcher) Fetch(ctx context.Context, request Request) (Fetched, error) {
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, request.Reference.String(), http.NoBody)
	if err != nil {
		return Fetched{}, err
	}
	if request.Known.ETag != "" {
		get.Header.Set("If-None-Match", request.Known.ETag)
	}
	if !request.Known.Modified.IsZero() {
		get.Header.Set("If-Modified-Since", request.Known.Modified.UTC().Format(http.TimeFormat))
	}
	response, err := f.client.Do(get)
	if err != nil {
		return Fetched{}, Unreachable(err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return Fetched{Unchanged: true}, nil
	default:
		return Fetched{}, statusError(response.StatusCode)
	}
	data, err := ReadLimited(response.Body, request.Limit)
	if err != nil {
		return Fetched{}, Unreachable(err)
	}
	return Fetched{Data: data, Validator: Validator{ETag: response.Header.Get("ETag"), Modified: modified(response.Header)}}, nil
}

// modified is when the content changed, if that tells it from what comes after: within the same minute it may change again
// without a later date (RFC 9110, 8.8.2.2).
func modified(header http.Header) time.Time {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	changed, err := http.ParseTime(header.Get("Last-Modified"))
	if err != nil || date.Sub(changed) < time.Minute {
		return time.Time{}
	}
	return changed
}

// Unreachable describes why a server gave no whole answer, in the same words for the same fault: without the number of the
// connection's own port, and without the address, which the reference tells.
func Unreachable(err error) error {
	var operation *net.OpError
	var wrapped *url.Error
	switch {
	case errors.As(err, &operation):
		return fmt.Errorf("the connection failed (%s): %w", operation.Op, operation.Err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the answer is cut short: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		return errors.New("the connection was closed without an answer")
	case errors.As(err, &wrapped):
		return wrapped.Err
	}
	return err
}

// statusError describes an answer that holds nothing to read.
func statusError(status int) error {
	err := fmt.Errorf("the server answers %d %s", status, http.StatusText(status))
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return Meaning(err, fs.ErrNotExist)
	case http.StatusUnauthorized, http.StatusForbidden:
		return Meaning(err, fs.ErrPermission)
	}
	return err
}
