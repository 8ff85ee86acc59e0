package bootstrap

import (
	"path/filepath"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// Names of the secrets that come from files. They are seen in a config dump and in statistics (sds.<name>.…).
const (
	certificateName = "sallyport-proxy"
	authoritiesName = "sallyport-authorities"
)

// secretFile refers to a secret by file SDS: the one way in which certificates of a static cluster rotate.
func secretFile(name, directory, file string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{
		Name: name,
		SdsConfig: &corev3.ConfigSource{
			ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{
				Path:             filepath.Join(directory, file),
				WatchedDirectory: &corev3.WatchedDirectory{Path: directory},
			}},
			ResourceApiVersion: corev3.ApiVersion_V3,
		},
	}
}

func certificateSecret(config Config) *tlsv3.Secret {
	return &tlsv3.Secret{
		Name: certificateName,
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: fromFile(config.CertificatePath),
			PrivateKey:       fromFile(config.KeyPath),
			WatchedDirectory: &corev3.WatchedDirectory{Path: filepath.Dir(config.CertificatePath)},
		}},
	}
}

func authoritiesSecret(config Config) *tlsv3.Secret {
	return &tlsv3.Secret{
		Name: authoritiesName,
		Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa:        fromFile(config.CAPath),
			WatchedDirectory: &corev3.WatchedDirectory{Path: filepath.Dir(config.CAPath)},
		}},
	}
}

func fromFile(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}

// response is what file SDS reads: a discovery response of one secret.
func response(secret *tlsv3.Secret) (*discoveryv3.DiscoveryResponse, error) {
	resource, err := pack(secret)
	if err != nil {
		return nil, err
	}
	return &discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{resource}}, nil
}
