package aws

import (
	"context"
	"crypto"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"go.step.sm/crypto/kms/awskms"
)

// NewSigner returns a signer whose private key never leaves KMS. The key is named by id, alias (alias/NAME) or ARN. It must
// be one for signing: ECDSA on P-256, P-384 or P-521, or RSA. Its public key is asked for at once; each signature is one
// request and takes 15 s at most. Errors hold no digest.
func (c *Client) NewSigner(ctx context.Context, keyID string) (crypto.Signer, error) {
	client, err := c.kms(ctx)
	if err != nil {
		return nil, err
	}
	signer, err := awskms.NewSigner(oneKey{client, keyID}, keyID)
	if err != nil {
		return nil, fmt.Errorf("use awskms:%s: %w", keyID, err)
	}
	return signer, nil
}

// oneKey asks for one key by the name that it was given: the library writes names in lower case, but those of aliases are
// told apart by case.
type oneKey struct {
	*kms.Client
	id string
}

// GetPublicKey asks for the key's public half.
func (k oneKey) GetPublicKey(ctx context.Context, input *kms.GetPublicKeyInput, options ...func(*kms.Options)) (*kms.GetPublicKeyOutput, error) {
	input.KeyId = aws.String(k.id)
	output, err := k.Client.GetPublicKey(ctx, input, options...)
	if err != nil {
		return nil, describe(err)
	}
	return output, nil
}

// Sign asks for a signature.
func (k oneKey) Sign(ctx context.Context, input *kms.SignInput, options ...func(*kms.Options)) (*kms.SignOutput, error) {
	input.KeyId = aws.String(k.id)
	output, err := k.Client.Sign(ctx, input, options...)
	if err != nil {
		return nil, describe(err)
	}
	return output, nil
}
