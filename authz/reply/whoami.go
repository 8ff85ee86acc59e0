package reply

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

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
	// Token is absent where none was accepted.
	Token   *token `json:"token,omitempty"`
	Gateway string `json:"gateway"`
}

// token is what was understood of the caller's token: what of it counts, and nothing by which somebody else could be the caller.
type token struct {
	Provider string   `json:"provider"`
	Subject  string   `json:"subject"`
	ClientID string   `json:"client_id,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Expires  string   `json:"expires"`
}

type certificate struct {
	Subject  string `json:"subject"`
	Serial   string `json:"serial"`
	NotAfter string `json:"not_after"`
	// DaysLeft are whole days: 0 on the last one.
	DaysLeft int `json:"days_left"`
}

const day = 24 * time.Hour

// answerWhoAmI answers an admitted caller with what is known of it.
func answerWhoAmI(d *policy.Decision, quota *limit.Quota) (*authv3.CheckResponse, error) {
	body, err := json.Marshal(describe(d))
	if err != nil {
		return nil, fmt.Errorf("tell the caller who it is: %w", err)
	}
	return answer(&Answer{
		Status: http.StatusOK, ContentType: "application/json", Headers: map[string]string{"cache-control": "no-store"}, Body: string(body) + "\n",
	}, quota)
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
	if t := d.Token; t != nil {
		told.Token = &token{
			Provider: t.Provider.Name, Subject: t.Subject, ClientID: t.ClientID, Roles: t.Roles, Scopes: t.Scopes, Expires: expression.FormatTime(t.Expires),
		}
	}
	return told
}
