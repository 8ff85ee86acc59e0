package expiry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The headers by which a receiver tells our calls from others'.
const (
	// TimestampHeader is the time of the call in Unix seconds: refuse what is old, so that nobody can replay it.
	TimestampHeader = "Sallyport-Timestamp"
	// SignatureHeader is `sha256=` and, in hexadecimal, the HMAC-SHA256 over timestamp, a full stop and the body.
	SignatureHeader = "Sallyport-Signature"
)

// WebhookConfig is what a Webhook needs.
type WebhookConfig struct {
	// URL is https, or http on this machine. It is a secret as a rule, and never logged but for its host. Required.
	URL string
	// Secret that calls are signed with; they are not signed if empty.
	Secret []byte
	// Client is one with a timeout of 10 s if nil. It never follows redirects.
	Client *http.Client
	// Attempts at most; 3 if zero. Before each further one stands a pause that doubles, and begins with Pause; 1 s if zero.
	Attempts int
	Pause    time.Duration
}

// Webhook is called by POST with a JSON document.
type Webhook struct {
	config WebhookConfig
	host   string
}

// NewWebhook makes a webhook.
func NewWebhook(config WebhookConfig) (*Webhook, error) {
	target, err := url.Parse(config.URL)
	if err != nil || target.Host == "" {
		return nil, errors.New("the webhook's URL is none: expected one such as https://alerts.example.org/sallyport") // and quotes nothing of it
	}
	if target.Scheme != "https" && (target.Scheme != "http" || !loopback(target.Hostname())) {
		return nil, fmt.Errorf("the webhook at %s must be https, or http on this machine", target.Host)
	}
	if config.Attempts < 0 || config.Pause < 0 {
		return nil, errors.New("the webhook has a negative number of attempts or pause")
	}
	client := http.Client{Timeout: 10 * time.Second}
	if config.Client != nil {
		client = *config.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	config.Client = &client
	config.Attempts, config.Pause = cmp.Or(config.Attempts, 3), cmp.Or(config.Pause, time.Second)
	return &Webhook{config: config, host: target.Host}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Host is the part of the URL that may be told.
func (w *Webhook) Host() string { return w.host }

// notice is the body of a call.
type notice struct {
	// Event is always `expiring`.
	Event        string    `json:"event"`
	Time         time.Time `json:"time"`
	Certificates []Row     `json:"certificates"`
}

// Post tells of rows. The error is that of the last attempt, without the URL.
func (w *Webhook) Post(ctx context.Context, now time.Time, rows []Row) error {
	body, err := json.Marshal(notice{Event: "expiring", Time: now.UTC(), Certificates: rows})
	if err != nil {
		return err
	}
	pause := w.config.Pause
	for attempt := 1; ; attempt++ {
		again, err := w.once(ctx, now, body)
		if err == nil || !again || attempt == w.config.Attempts {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		pause *= 2
	}
}

// once makes one call, and tells whether another may help.
func (w *Webhook) once(ctx context.Context, now time.Time, body []byte) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.URL, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the call cannot be made")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "sallyport")
	stamp := strconv.FormatInt(now.Unix(), 10)
	request.Header.Set(TimestampHeader, stamp)
	if len(w.config.Secret) > 0 {
		request.Header.Set(SignatureHeader, "sha256="+sign(w.config.Secret, stamp, body))
	}
	response, err := w.config.Client.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // url.Error quotes the URL
		}
		return true, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10)) // so that the connection can be used again
	_ = response.Body.Close()
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return false, nil
	default:
		return code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout, fmt.Errorf("it answered %d", code)
	}
}

func sign(secret []byte, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(mac, stamp+".") // a hash takes everything
	_, _ = mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
