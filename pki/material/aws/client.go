package aws

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/logging"

	"github.com/sallyport-project/sallyport/pki/material"
)

// Client speaks to AWS in the name that the environment gives this process. It finds out who that is when it is first
// needed, and is safe for concurrent use.
type Client struct {
	mu     sync.Mutex
	loaded *aws.Config
}

// New makes a Client. It reads nothing and asks nobody yet.
func New() *Client { return &Client{} }

// Fetchers are what a material.Store reads S3 and Secrets Manager by.
func (c *Client) Fetchers() map[material.Scheme]material.Fetcher {
	return map[material.Scheme]material.Fetcher{
		material.S3:             objectFetcher{c},
		material.SecretsManager: secretFetcher{c},
	}
}

// load returns the SDK's configuration. One that cannot be loaded is tried again the next time.
func (c *Client) load(ctx context.Context) (aws.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil {
		return *c.loaded, nil
	}
	loaded, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("the AWS configuration of this process cannot be read: %w", err)
	}
	if loaded.Region == "" {
		return aws.Config{}, errors.New("no AWS region is known: set AWS_REGION, or a region in the profile")
	}
	c.loaded = &loaded
	return loaded, nil
}

// s3 makes a client, which costs little. Connections are shared through the configuration.
func (c *Client) s3(ctx context.Context, options ...func(*s3.Options)) (*s3.Client, error) {
	loaded, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	return s3.NewFromConfig(loaded, append(options, func(o *s3.Options) {
		// Amazon's own endpoint carries the bucket in its name; others seldom do.
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true
	})...), nil
}

func (c *Client) secretsManager(ctx context.Context) (*secretsmanager.Client, error) {
	loaded, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	return secretsmanager.NewFromConfig(loaded, func(o *secretsmanager.Options) { o.Retryer = aws.NopRetryer{} }), nil
}

func (c *Client) kms(ctx context.Context) (*kms.Client, error) {
	loaded, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	return kms.NewFromConfig(loaded), nil
}
