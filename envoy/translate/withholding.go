package translate

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport-project/sallyport/config"
)

// WithholdingFilterName is the name of the filter that keeps tokens of ours from callers, and of its settings on a route.
const WithholdingFilterName = "envoy.filters.http.lua"

// withholdTokens is the name of its script.
const withholdTokens = "withhold-tokens"

// withholding removes from an answer each header and each trailer in which the credentials stand that the upstream was sent: they are
// ours, or were got for this one upstream, and an upstream that echoes what it is sent would hand them to the caller. To ask for the
// trailers is to wait for them: headers and body go on to the caller meanwhile. What an upstream writes into a body is beyond us; that
// is why tokens of our own are bound to a certificate.
const withholding = `function envoy_on_request(handle)
  local sent = handle:headers():get("authorization")
  if sent == nil then return end
  handle:streamInfo():dynamicMetadata():set("sallyport.tokens", "sent", sent)
end

local function withhold(fields, token)
  local echoing = {}
  for name, value in pairs(fields) do
    if value:find(token, 1, true) then table.insert(echoing, name) end
  end
  for _, name in ipairs(echoing) do fields:remove(name) end
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local kept = metadata:get("sallyport.tokens")
  if kept == nil or kept["sent"] == nil then return end
  local token = kept["sent"]:match("(%S+)$")
  metadata:set("sallyport.tokens", "sent", "")
  if token == nil then return end
  withhold(handle:headers(), token)
  local trailers = handle:trailers()
  if trailers ~= nil then withhold(trailers, token) end
end
`

// WithholdingFilter has the script ready, and runs it where a route says so. It is the same everywhere.
func WithholdingFilter() *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: WithholdingFilterName, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&luav3.Lua{
		SourceCodes: map[string]*corev3.DataSource{
			withholdTokens: {Specifier: &corev3.DataSource_InlineString{InlineString: withholding}},
		},
	})}}
}

// WithholdingSettings are the settings of a route whose upstream is sent credentials.
func WithholdingSettings() *anypb.Any {
	return pack(&luav3.LuaPerRoute{Override: &luav3.LuaPerRoute_Name{Name: withholdTokens}})
}

// sendsTokens tells whether one of a rule's upstreams is sent credentials.
func sendsTokens(rule *config.Rule) bool {
	for _, u := range rule.Upstreams {
		if u.Upstream.Token.Any() {
			return true
		}
	}
	return false
}
