package reply

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/config/expression"
)

// whoAmI is what a caller is told of itself.
type whoAmI struct {
	// Consumer and Roles are absent for a caller that is none of our Consumers.
	Consumer string   `json:"consumer,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	// Certificate is absent where no truststore vouches for one.
	Certificate *certificate `json:"certificate,omitempty"`
	Gateway     string       `json:"gateway"`
}

type certificate struct {
	Subject  string `json:"subject"`
	Serial   string `json:"serial"`
	NotAfter string `json:"not_after"`
	// DaysLeft are whole days: 0 on the last one.
	DaysLeft int `json:"days_left"`
}

const day = 24 * time.Hour

// answerWhoAmI answers an admitted caller with what is known of it. To Envoy every answer of the authorization service's own is
// a refusal to go on; nothing is asked of an upstream, because there is none.
func answerWhoAmI(d *policy.Decision, quota *limit.Quota) (*authv3.CheckResponse, error) {
	body, err := json.Marshal(describe(d))
	if err != nil {
		return nil, fmt.Errorf("tell the caller who it is: %w", err)
	}
	headers := append([]*corev3.HeaderValueOption{set("content-type", "application/json"), set("cache-control", "no-store")}, quotaHeaders(quota)...)
	return &authv3.CheckResponse{
		Status: deniedStatus,
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: http.StatusOK}, Headers: headers, Body: string(body) + "\n",
		}},
	}, nil
}

func describe(d *policy.Decision) whoAmI {
	told := whoAmI{Gateway: d.Request.Gateway, Consumer: d.Consumer}
	if d.Consumer != "" && d.Facts != nil && d.Facts.Consumer != nil {
		told.Roles = slices.Clone(d.Facts.Consumer.Roles)
	}
	if c := d.Certificate; c != nil && d.Truststore != "" {
		told.Certificate = &certificate{
			Subject: c.Subject, Serial: c.Serial, NotAfter: expression.FormatTime(c.NotAfter), DaysLeft: int(c.NotAfter.Sub(d.Time) / day),
		}
	}
	return told
}
