package accesslog

import (
	"cmp"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	entryv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/internal/terminal"
)

// Bounds of what is taken over, in bytes.
const (
	maxName   = 256
	maxDetail = 512
	maxPath   = 2 << 10
)

// handshake makes the record of a connection, if that was refused before it carried anything.
func handshake(entry *entryv3.TCPAccessLogEntry, from source, now time.Time) (audit.Record, bool) {
	c := entry.GetCommonProperties()
	words, details := c.GetDownstreamTransportFailureReason(), c.GetCustomTags()[checkcontext.LogDetails]
	bytes := entry.GetConnectionProperties()
	if words == "" && details == "" || bytes.GetReceivedBytes() > 0 || bytes.GetSentBytes() > 0 {
		return audit.Record{}, false
	}
	r := of(c, from, now)
	r.Kind, r.Reason = audit.KindHandshake, classify(words, details)
	r.Detail = clean(cmp.Or(plain(words), details), maxDetail)
	r.Host = clean(c.GetTlsProperties().GetTlsSniHostname(), maxName)
	return r, true
}

// answer makes the record of a request that the proxy answered.
func answer(entry *entryv3.HTTPAccessLogEntry, from source, now time.Time) audit.Record {
	r := of(entry.GetCommonProperties(), from, now)
	r.Kind, r.Reason = audit.KindAnswer, reason.ProxyAnswered
	r.Status = int(entry.GetResponse().GetResponseCode().GetValue())
	r.Detail = clean(entry.GetResponse().GetResponseCodeDetails(), maxDetail)
	request := entry.GetRequest()
	if method := request.GetRequestMethod(); method != corev3.RequestMethod_METHOD_UNSPECIFIED {
		r.Method = method.String()
	}
	r.RequestID = clean(request.GetRequestId(), maxName)
	r.Host = clean(strings.ToLower(request.GetAuthority()), maxName)
	path, _, _ := strings.Cut(request.GetPath(), "?")
	path, _, _ = strings.Cut(path, "#")
	r.Path = clean(path, maxPath)
	return r
}

// of is what both kinds of entry say.
func of(c *entryv3.AccessLogCommon, from source, now time.Time) audit.Record {
	tags, peer := c.GetCustomTags(), c.GetTlsProperties().GetPeerCertificateProperties()
	r := audit.Record{
		Time: moment(c, now), Asker: from.asker,
		Gateway: clean(from.gateway, maxName), Listener: clean(from.listener, maxName), Entry: clean(tags[checkcontext.LogEntry], maxName),
		CertificateSHA256:  clean(tags[checkcontext.LogCertificateSHA256], maxName),
		CertificateSerial:  strings.TrimLeft(clean(tags[checkcontext.LogCertificateSerial], maxName), "0"),
		CertificateSubject: clean(peer.GetSubject(), maxName),
		CertificateIssuer:  clean(peer.GetIssuer(), maxName),
	}
	if end, err := time.Parse(time.RFC3339, tags[checkcontext.LogCertificateNotAfter]); err == nil {
		r.CertificateNotAfter = end
	}
	return r
}

// moment is when it happened by the proxy's clock, or now where that clock cannot be right.
func moment(c *entryv3.AccessLogCommon, now time.Time) time.Time {
	const latest, oldest = time.Minute, time.Hour
	if c.GetStartTime().CheckValid() != nil {
		return now
	}
	if t := c.GetStartTime().AsTime(); t.Before(now.Add(latest)) && t.After(now.Add(-oldest)) {
		return t
	}
	return now
}

// clean makes a text of a caller's fit for records: printable, on one line, and no longer than so many bytes.
func clean(text string, most int) string {
	text = terminal.Safe(strings.ToValidUTF8(text, "�"))
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
