package aws

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/sallyport-project/sallyport/pki/material"
)

// objectFetcher gets objects of S3. It does not repeat what fails: whoever polls does.
type objectFetcher struct{ client *Client }

// Fetch implements material.Fetcher by a conditional GetObject.
func (f objectFetcher) Fetch(ctx context.Context, request material.Request) (material.Fetched, error) {
	client, err := f.client.s3(ctx, func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil {
		return material.Fetched{}, err
	}
	content, err := getObject(ctx, client, request)
	switch {
	case status(err) == http.StatusNotModified:
		return material.Fetched{Unchanged: true}, nil
	case err != nil:
		return material.Fetched{}, err
	}
	return material.Fetched{Data: content.Data, Validator: material.Validator{
		ETag: content.ETag, Modified: content.Modified, Version: content.ID,
	}}, nil
}

// getObject reads a whole object. An error other than 304 is described.
func getObject(ctx context.Context, client *s3.Client, request material.Request) (material.Content, error) {
	object := request.Reference.Object()
	output, err := client.GetObject(ctx, &s3.GetObjectInput{
		Bucket:              aws.String(object.Bucket),
		Key:                 aws.String(object.Key),
		VersionId:           optional(object.Version),
		IfNoneMatch:         optional(request.Known.ETag),
		ExpectedBucketOwner: optional(request.ExpectedOwner),
	})
	if status(err) == http.StatusNotModified {
		return material.Content{}, err
	}
	if err != nil {
		return material.Content{}, describe(err)
	}
	defer func() { _ = output.Body.Close() }() // only read from
	if aws.ToInt64(output.ContentLength) > request.Limit {
		return material.Content{}, material.TooLarge(request.Limit)
	}
	data, err := material.ReadLimited(output.Body, request.Limit)
	if err != nil {
		return material.Content{}, material.Unreachable(err)
	}
	return material.Content{Data: data, Version: material.Version{
		ID:       aws.ToString(output.VersionId),
		ETag:     aws.ToString(output.ETag),
		Modified: aws.ToTime(output.LastModified),
		Size:     int64(len(data)),
		Latest:   object.Version == "",
	}}, nil
}

// optional is nil for the empty string, which the SDK would send.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// secretFetcher gets secrets of Secrets Manager.
type secretFetcher struct{ client *Client }

// Fetch implements material.Fetcher by GetSecretValue, which knows no conditions.
func (f secretFetcher) Fetch(ctx context.Context, request material.Request) (material.Fetched, error) {
	client, err := f.client.secretsManager(ctx)
	if err != nil {
		return material.Fetched{}, err
	}
	name, _ := request.Reference.Secret()
	output, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(name)})
	if err != nil {
		return material.Fetched{}, describe(err)
	}
	data := output.SecretBinary
	if output.SecretString != nil {
		data = []byte(*output.SecretString)
	}
	if len(data) == 0 {
		return material.Fetched{}, errors.New("the secret is empty")
	}
	return material.Fetched{Data: data, Validator: material.Validator{
		Version: aws.ToString(output.VersionId), Modified: aws.ToTime(output.CreatedDate),
	}}, nil
}
