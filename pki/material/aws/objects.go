package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sallyport-project/sallyport/pki/material"
)

// requestTimeout ends a read or a write, its repetitions included.
const requestTimeout = 30 * time.Second

// objects publishes to S3.
type objects struct {
	client *Client
	owner  string
}

// Objects publishes to buckets. Each request demands that the bucket belongs to the AWS account given, by its 12 digits,
// unless that is empty. Each read and write takes 30 s at most.
func (c *Client) Objects(expectedOwner string) material.Objects {
	return objects{client: c, owner: expectedOwner}
}

// Get implements material.Objects.
func (o objects) Get(ctx context.Context, reference material.Reference) (material.Content, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client, err := o.of(ctx, reference)
	if err != nil {
		return material.Content{}, err
	}
	content, err := getObject(ctx, client, material.Request{Reference: reference, ExpectedOwner: o.owner, Limit: material.MaxSize})
	if err != nil {
		return material.Content{}, fmt.Errorf("read %s: %w", reference, err)
	}
	return content, nil
}

// of returns a client for a reference to an object.
func (o objects) of(ctx context.Context, reference material.Reference) (*s3.Client, error) {
	if reference.Scheme != material.S3 {
		return nil, fmt.Errorf("%s is no object of S3", reference)
	}
	return o.client.s3(ctx)
}

// Put implements material.Objects by conditional writes (Amazon S3 User Guide, "conditional writes").
func (o objects) Put(ctx context.Context, reference material.Reference, data []byte, condition material.Condition) (material.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client, err := o.of(ctx, reference)
	if err != nil {
		return material.Version{}, err
	}
	object := reference.Object()
	if object.Version != "" {
		return material.Version{}, fmt.Errorf("write %s: a version that exists cannot be written", reference)
	}
	if err := material.Publishable(data); err != nil {
		return material.Version{}, fmt.Errorf("write %s: %w", reference, err)
	}
	input := &s3.PutObjectInput{
		Bucket:              aws.String(object.Bucket),
		Key:                 aws.String(object.Key),
		Body:                bytes.NewReader(data),
		ExpectedBucketOwner: optional(o.owner),
		IfMatch:             optional(condition.IfMatch),
	}
	if condition.IfAbsent {
		input.IfNoneMatch = aws.String("*")
	}
	output, err := client.PutObject(ctx, input)
	if err == nil {
		return material.Version{
			ID: aws.ToString(output.VersionId), ETag: aws.ToString(output.ETag), Size: int64(len(data)), Latest: true,
		}, nil
	}
	err = conflict(describe(err), condition)
	if errors.Is(err, material.ErrConflict) {
		// The SDK repeats what has had no answer, and the first attempt may have been ours.
		if there, getErr := o.Get(ctx, reference); getErr == nil && bytes.Equal(there.Data, data) {
			return there.Version, nil
		}
	}
	return material.Version{}, fmt.Errorf("write %s: %w", reference, err)
}

// conflict says what the failure of a conditional write means: an object that was to be replaced and is gone is one too.
func conflict(err error, condition material.Condition) error {
	switch {
	case condition.IfAbsent && errors.Is(err, material.ErrConflict):
		return material.Meaning(err, fs.ErrExist)
	case condition.IfMatch != "" && errors.Is(err, fs.ErrNotExist):
		return material.Meaning(errors.New("it has been removed meanwhile"), material.ErrConflict)
	}
	return err
}

// Versions implements material.Objects.
func (o objects) Versions(ctx context.Context, reference material.Reference) ([]material.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client, err := o.of(ctx, reference)
	if err != nil {
		return nil, err
	}
	object := reference.Object()
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{
		Bucket: aws.String(object.Bucket), Prefix: aws.String(object.Key), ExpectedBucketOwner: optional(o.owner),
	})
	var found []material.Version
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the versions of %s: %w", reference, describe(err))
		}
		for _, version := range page.Versions {
			if aws.ToString(version.Key) == object.Key { // others begin with it
				found = append(found, versionOf(version))
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("list the versions of %s: %w", reference, fs.ErrNotExist)
	case !slices.ContainsFunc(found, func(v material.Version) bool { return v.ID != unversioned }):
		return nil, fmt.Errorf("list the versions of %s: %w: enable versioning for the bucket", reference, material.ErrNoVersions)
	}
	slices.SortStableFunc(found, latestFirst)
	return found, nil
}

// unversioned is the ID of what was written while the bucket kept no versions.
const unversioned = "null"

func versionOf(version types.ObjectVersion) material.Version {
	return material.Version{
		ID:       aws.ToString(version.VersionId),
		ETag:     aws.ToString(version.ETag),
		Modified: aws.ToTime(version.LastModified),
		Size:     aws.ToInt64(version.Size),
		Latest:   aws.ToBool(version.IsLatest),
	}
}

// latestFirst trusts the flag before the time, which has a resolution of a second in places.
func latestFirst(a, b material.Version) int {
	switch {
	case a.Latest == b.Latest:
		return b.Modified.Compare(a.Modified)
	case a.Latest:
		return -1
	}
	return 1
}
