package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/lockout"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// checkTrust makes sure, before anything is issued, that one of the Truststores that count would vouch for what the authority
// issues. Where that cannot be told from here, the warning says so.
func (f *onboarding) checkTrust(ctx context.Context, o *onboard) (warning string, err error) {
	signer, err := f.signer(ctx, o)
	if err != nil {
		return "whether gateways will accept the certificate was not checked: " + err.Error(), nil //nolint:nilerr // what cannot be told is a warning
	}
	model, err := loadModel(f.source)
	if err != nil {
		return "", err
	}
	var untold, refused []error
	for _, name := range o.truststores {
		err := f.judge(ctx, signer, model, name)
		switch {
		case err == nil:
			return "", nil
		case errors.Is(err, lockout.ErrUntold):
			untold = append(untold, err)
		default:
			refused = append(refused, err)
		}
	}
	if len(untold) > 0 {
		return errors.Join(untold...).Error(), nil
	}
	return "", usageError{fmt.Errorf("nothing was issued: %w", errors.Join(refused...))}
}

// judge asks one Truststore.
func (f *onboarding) judge(ctx context.Context, signer lockout.Signer, model *config.Model, name string) error {
	truststore := model.Truststore(name)
	if truststore == nil {
		return fmt.Errorf("there is no Truststore %q", name) // the edit has said so
	}
	return signer.Accepted(ctx, name, truststore.Spec, pipeline.SpecsOf(model).Authorities, f.source, time.Now())
}

// signer is the certificate with which the authority signs, and those that it wants to be trusted.
func (f *onboarding) signer(ctx context.Context, o *onboard) (lockout.Signer, error) {
	list, err := o.authority.ListAuthorities(ctx, &adminv1.ListAuthoritiesRequest{})
	if err != nil {
		return lockout.Signer{}, err
	}
	for _, held := range list.GetAuthorities() {
		if f.name != "" && held.GetName() != f.name || f.name == "" && len(list.GetAuthorities()) > 1 {
			continue
		}
		bundle, err := ca.ParseCertificates([]byte(held.GetBundlePem()))
		if err != nil {
			return lockout.Signer{}, err
		}
		return signerAmong(bundle, held)
	}
	return lockout.Signer{}, errors.New("which authority will sign is not known") // which issuing will say better
}

// signerAmong finds the certificate in an authority's bundle with which it signs.
func signerAmong(bundle []*x509.Certificate, held *adminv1.HeldAuthority) (lockout.Signer, error) {
	for _, certificate := range bundle {
		if certificate.Subject.String() == held.GetSubject() && certificate.NotAfter.Equal(held.GetNotAfter().AsTime()) {
			return lockout.Signer{Certificate: certificate, Above: bundle}, nil
		}
	}
	return lockout.Signer{}, fmt.Errorf("the bundle of the authority %q lacks the certificate with which it signs", held.GetName())
}
