package config

import (
	"slices"
	"strings"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// warnOfTruststoreSpecs finds what a Truststore says without effect, and lists that refuse nobody.
func (b *builder) warnOfTruststoreSpecs() {
	for _, t := range b.model.Truststores() {
		spec := t.Spec
		ofAuthority := strings.HasPrefix(spec.GetBundle(), "authority:")
		for _, warning := range []struct {
			applies bool
			message string
		}{
			{len(spec.GetSigners()) > 0 && ofAuthority, "its signers have no effect: its bundle is an Authority of this configuration, for which there is no manifest"},
			{len(spec.GetSigners()) == 0 && spec.GetManifest() != "", "its manifest is not asked for: it names no signers"},
			{len(spec.GetSigners()) > 0 && !ofAuthority && spec.GetManifest() == "" && !hasNeighbours(spec.GetBundle()),
				"its bundle is never used: nothing lies beside it, so say under `manifest` where the signed manifest is"},
			{spec.GetExpectedBucketOwner() != "" && !slices.ContainsFunc(placesOf(spec), inBucket), "its expected_bucket_owner has no effect: none of its references is one to S3"},
			{spec.GetIntermediates().GetMaxDepth() > 0 && !spec.GetIntermediates().GetFromCaller(), "its max_depth has no effect without `from_caller: true`"},
			{spec.GetRevocation().GetMode() == sallyportv1.RevocationMode_REVOCATION_MODE_OFF, "its revocation lists refuse nobody: their mode is off"},
		} {
			if warning.applies {
				b.warnAt(t.Origin, "the Truststore %q: %s", t.Name, warning.message)
			}
		}
	}
}

// warnOfUpstreamTruststores finds demands on certificates that nobody makes of an upstream's: its proxy verifies it alone.
func (b *builder) warnOfUpstreamTruststores() {
	for _, u := range b.model.Upstreams() {
		if u.TLS == nil {
			continue
		}
		revocation := u.TLS.Truststore.Spec.GetRevocation()
		for _, warning := range []struct {
			applies bool
			message string
		}{
			{revocation.GetGrace().AsDuration() > 0, "there is no grace for an upstream: without a current list of each authority it is not called"},
			{revocation.GetMode() == sallyportv1.RevocationMode_REVOCATION_MODE_WHEN_PRESENT,
				"revocation lists count for an upstream only where they are required: set `mode: required`"},
			{u.TLS.Truststore.Spec.GetIssuance() != nil, "nobody asks a register about an upstream's certificate"},
		} {
			if warning.applies {
				b.warnAt(u.Origin, "the Upstream %q is verified by the Truststore %q (%s): %s", u.Name, u.TLS.Truststore.Name, u.TLS.Truststore.Origin, warning.message)
			}
		}
	}
}

// hasNeighbours tells whether something can lie beside what a reference refers to.
func hasNeighbours(reference string) bool {
	return strings.HasPrefix(reference, "file:") || inBucket(reference)
}

func inBucket(reference string) bool { return strings.HasPrefix(reference, "s3:") }

// placesOf are the references whose bucket must be the expected owner's.
func placesOf(spec *sallyportv1.TruststoreSpec) []string {
	return slices.Concat([]string{spec.GetBundle(), spec.GetManifest()}, spec.GetRevocation().GetLists(), spec.GetIssuance().GetRegisters())
}
