package translate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Format is a form of printed Resources.
type Format string

// The formats.
const (
	JSON Format = "json"
	YAML Format = "yaml"
)

// Print writes the resources for people: fields by their names in Envoy's schema, lists by type, each sorted by name.
// Equal resources give equal text. Private keys are printed as their SHA-256, so that a change can be seen and nothing
// else. The error is for an unknown format, or w's own.
func (r *Resources) Print(w io.Writer, format Format) error {
	document, err := r.document()
	if err != nil {
		return fmt.Errorf("print the resources of the group %q: %w", r.Group, err)
	}
	switch format {
	case JSON:
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(document)
	case YAML:
		encoder := yaml.NewEncoder(w)
		encoder.SetIndent(2)
		if err := encoder.Encode(document); err != nil {
			return err
		}
		return encoder.Close()
	}
	return fmt.Errorf("print the resources of the group %q: there is no format %q; it is json or yaml", r.Group, format)
}

// document is the resources as maps and lists. protojson varies its white space on purpose; going through plain values
// makes the text stable.
func (r *Resources) document() (map[string]any, error) {
	document := map[string]any{"group": r.Group}
	for name, messages := range map[string][]proto.Message{
		"listeners": inOrder(r.Listeners), "routes": inOrder(r.Routes), "clusters": inOrder(r.Clusters),
		"endpoints": inOrder(r.Endpoints), "secrets": inOrder(r.Secrets),
	} {
		values := []any{}
		for _, message := range messages {
			value, err := plain(message)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		document[name] = values
	}
	problems := []any{}
	for _, problem := range r.Problems {
		problems = append(problems, problem.Error())
	}
	document["problems"] = problems
	return document, nil
}

func inOrder[M proto.Message](messages map[string]M) []proto.Message {
	ordered := make([]proto.Message, 0, len(messages))
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		ordered = append(ordered, messages[name])
	}
	return ordered
}

func plain(message proto.Message) (any, error) {
	if secret, ok := message.(*tlsv3.Secret); ok {
		message = Redact(secret)
	}
	encoded, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return withNumbers(value)
}

// withNumbers makes integers of JSON's numbers, which YAML would print as text, or large ones with an exponent.
func withNumbers(value any) (_ any, err error) {
	switch value := value.(type) {
	case map[string]any:
		for name, item := range value {
			if value[name], err = withNumbers(item); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, item := range value {
			if value[i], err = withNumbers(item); err != nil {
				return nil, err
			}
		}
	case json.Number:
		if integer, err := value.Int64(); err == nil {
			return integer, nil
		}
		return value.Float64()
	}
	return value, nil
}

// Redact copies a secret with `sha256:…` in place of its private key, and its certificates as text.
func Redact(secret *tlsv3.Secret) *tlsv3.Secret {
	redacted := proto.CloneOf(secret)
	if certificate := redacted.GetTlsCertificate(); certificate != nil {
		certificate.CertificateChain = asText(certificate.GetCertificateChain())
		hash := sha256.Sum256(certificate.GetPrivateKey().GetInlineBytes())
		certificate.PrivateKey = &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: "sha256:" + hex.EncodeToString(hash[:])},
		}
	}
	if context := redacted.GetValidationContext(); context != nil {
		context.TrustedCa = asText(context.GetTrustedCa())
	}
	return redacted
}

func asText(source *corev3.DataSource) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: string(source.GetInlineBytes())}}
}
