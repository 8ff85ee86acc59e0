package config

import "testing"

func TestWarningsOfWhatATruststoreSaysWithoutEffect(t *testing.T) {
	idle := func(spec string) files {
		return base().add("z.yaml", resource("Truststore", "idle", spec))
	}
	upstream := func(spec string) files {
		return base().add("z.yaml", resource("Truststore", "idle", spec)+"---\n"+
			resource("Upstream", "verified", "{endpoints: {dns: 'a.internal:8443'}, tls: {truststore: idle, server_name: a.internal}}"))
	}
	const verified = `z.yaml:6:1: warning: the Upstream "verified" is verified by the Truststore "idle" (z.yaml:1:1): `
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"everything with effect": {
			idle("{bundle: 's3://bucket/ca.pem', expected_bucket_owner: '123456789012', signers: ['file:a.pem'], revocation: {lists: ['file:a.crl'], grace: 60s}, " +
				"intermediates: {from_caller: true, max_depth: 2}, issuance: {mode: registered, registers: ['file:a.index']}}"), nil,
		},
		"signers of an authority": {
			idle("{bundle: 'authority:partner-ca', signers: ['file:a.pem']}"),
			[]string{`z.yaml:1:1: warning: the Truststore "idle": its signers have no effect: its bundle is an Authority of this configuration, for which there is no manifest`},
		},
		"a manifest without signers": {
			idle("{bundle: 'file:a', manifest: 'file:b'}"),
			[]string{`z.yaml:1:1: warning: the Truststore "idle": its manifest is not asked for: it names no signers`},
		},
		"signers without a manifest's place": {
			idle("{bundle: 'env:CA', signers: ['file:a.pem']}"),
			[]string{"z.yaml:1:1: warning: the Truststore \"idle\": its bundle is never used: nothing lies beside it, so say under `manifest` where the signed manifest is"},
		},
		"a bucket's owner without a bucket": {
			idle("{bundle: 'file:a', expected_bucket_owner: '123456789012'}"),
			[]string{`z.yaml:1:1: warning: the Truststore "idle": its expected_bucket_owner has no effect: none of its references is one to S3`},
		},
		"a depth of nothing": {
			idle("{bundle: 'file:a', intermediates: {max_depth: 2}}"),
			[]string{"z.yaml:1:1: warning: the Truststore \"idle\": its max_depth has no effect without `from_caller: true`"},
		},
		"lists that are off": {
			idle("{bundle: 'file:a', revocation: {lists: ['file:a.crl'], mode: off}}"),
			[]string{`z.yaml:1:1: warning: the Truststore "idle": its revocation lists refuse nobody: their mode is off`},
		},
		"a grace for an upstream": {
			upstream("{bundle: 'file:a', revocation: {lists: ['file:a.crl'], grace: 60s}}"),
			[]string{verified + "there is no grace for an upstream: without a current list of each authority it is not called"},
		},
		"lists of an upstream that are not required": {
			upstream("{bundle: 'file:a', revocation: {lists: ['file:a.crl'], mode: when_present}}"),
			[]string{verified + "revocation lists count for an upstream only where they are required: set `mode: required`"},
		},
		"a register for an upstream": {
			upstream("{bundle: 'file:a', issuance: {registers: ['file:a.index']}}"),
			[]string{verified + "nobody asks a register about an upstream's certificate"},
		},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want...) })
	}
}
