// Package node says who is on an xDS stream, by the certificate that the connection was made with.
//
// go-control-plane takes the node from the messages, where a client may write what it likes, and in any later message
// something else. So an interceptor replaces it, in every message, by what the TLS handshake proved. A proxy that claims
// to be somebody else loses its stream. The package knows nothing of what is served.
package node

import (
	"crypto/x509"
	"errors"
	"fmt"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// Identity is a proxy on one stream.
type Identity struct {
	spiffe.Identity
	// Stream tells this stream from every other of the process.
	Stream string
	// UserAgent is what the proxy says of itself, such as `envoy/1.40.0`; not verified.
	UserAgent string
	// Certificate is what the stream was opened with. It is known by FromContext alone.
	Certificate *x509.Certificate
}

// streamKey is where the stream's own name stands in the node's metadata.
const streamKey = "sallyport.stream"

// fromCertificate reads the identity of a proxy from its verified certificate.
func fromCertificate(certificate *x509.Certificate) (spiffe.Identity, error) {
	id, err := spiffe.FromCertificate(certificate)
	if err != nil {
		return spiffe.Identity{}, err
	}
	if id.Kind != spiffe.Proxy {
		return spiffe.Identity{}, fmt.Errorf("%s is no proxy", id)
	}
	return id, nil
}

// checkClaim refuses a node that names itself as another proxy or group. An empty claim is none.
func (i Identity) checkClaim(claim *core.Node) error {
	if id := claim.GetId(); id != "" && id != i.String() {
		return fmt.Errorf("the node says that it is %q, its certificate that it is %s", id, i)
	}
	if group := claim.GetCluster(); group != "" && group != i.Group {
		return fmt.Errorf("the node says that it belongs to the group %q, its certificate to %q", group, i.Group)
	}
	return nil
}

// Proto is the node that stands in every message from here on.
func (i Identity) Proto() *core.Node {
	return &core.Node{
		Id: i.String(), Cluster: i.Group, UserAgentName: i.UserAgent,
		Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{streamKey: structpb.NewStringValue(i.Stream)}},
	}
}

// FromProto reads the identity back from a node that Proto made.
func FromProto(n *core.Node) (Identity, error) {
	stream := n.GetMetadata().GetFields()[streamKey].GetStringValue()
	if stream == "" {
		return Identity{}, errors.New("the node does not come from the connection's certificate")
	}
	id, err := spiffe.Parse(n.GetId())
	if err != nil {
		return Identity{}, err
	}
	return Identity{Identity: id, Stream: stream, UserAgent: n.GetUserAgentName()}, nil
}

// userAgent is what a proxy says of itself, cut to what a table can show.
func userAgent(n *core.Node) string {
	agent := n.GetUserAgentName()
	if v := n.GetUserAgentBuildVersion().GetVersion(); v != nil {
		agent += fmt.Sprintf("/%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
	}
	const most = 64
	if len(agent) > most {
		agent = agent[:most]
	}
	return agent
}
