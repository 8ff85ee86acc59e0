package aws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/sallyport-project/sallyport/internal/testcloud"
	"github.com/sallyport-project/sallyport/pki/material"
)

func parse(t *testing.T, text string) material.Reference {
	t.Helper()
	reference, err := material.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

func put(t *testing.T, objects material.Objects, reference material.Reference, text string, condition material.Condition) material.Version {
	t.Helper()
	version, err := objects.Put(t.Context(), reference, []byte(text), condition)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestObjectsKeepWhatAnotherHasWritten(t *testing.T) {
	store := testcloud.StartObjectStore(t, "partners")
	store.Use(t)
	objects := New().Objects("")
	bundle := parse(t, "s3://partners/truststore/bundle.pem")

	if _, err := objects.Get(t.Context(), bundle); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("what is not there: %v", err)
	}
	first := put(t, objects, bundle, "one", material.Condition{IfAbsent: true})
	if _, err := objects.Put(t.Context(), bundle, []byte("two"), material.Condition{IfAbsent: true}); !errors.Is(err, material.ErrConflict) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("made although it was there: %v", err)
	}
	second := put(t, objects, bundle, "two", material.Condition{IfMatch: first.ETag})
	if _, err := objects.Put(t.Context(), bundle, []byte("three"), material.Condition{IfMatch: first.ETag}); !errors.Is(err, material.ErrConflict) {
		t.Errorf("replaced although it was another: %v", err)
	}
	if again := put(t, objects, bundle, "two", material.Condition{IfMatch: first.ETag}); again.ETag != second.ETag {
		t.Errorf("what had been written already was written as %+v, not %+v", again, second)
	}
	got, err := objects.Get(t.Context(), bundle)
	if err != nil || string(got.Data) != "two" || got.ID != second.ID || got.ETag != second.ETag {
		t.Errorf("got %q, %+v, %v; want %+v", got.Data, got.Version, err, second)
	}
	gone := parse(t, "s3://partners/gone")
	if _, err := objects.Put(t.Context(), gone, []byte("a"), material.Condition{IfMatch: first.ETag}); !errors.Is(err, material.ErrConflict) {
		t.Errorf("replaced although it was gone: %v", err)
	}
}

func TestObjectsHaveVersions(t *testing.T) {
	store := testcloud.StartObjectStore(t, "partners")
	store.AddBucket(t, "plain", false)
	store.Use(t)
	objects := New().Objects("")
	bundle := parse(t, "s3://partners/bundle.pem")

	var ids []string
	for _, text := range []string{"one", "two", "three"} {
		ids = append(ids, put(t, objects, bundle, text, material.Condition{}).ID)
	}
	put(t, objects, parse(t, "s3://partners/bundle.pem.manifest"), "a name that begins with the other", material.Condition{})

	versions, err := objects.Versions(t.Context(), bundle)
	if err != nil || len(versions) != 3 || !versions[0].Latest || versions[0].ID != ids[2] || versions[0].Size != 5 {
		t.Fatalf("versions %+v, %v", versions, err)
	}
	old, err := objects.Get(t.Context(), bundle.AtVersion(ids[0]))
	if err != nil || string(old.Data) != "one" || old.ID != ids[0] {
		t.Errorf("the first version is %q, %+v, %v", old.Data, old.Version, err)
	}
	if _, err := objects.Put(t.Context(), bundle.AtVersion(ids[0]), []byte("a"), material.Condition{}); err == nil {
		t.Error("a version was written over")
	}
	if _, err := objects.Versions(t.Context(), parse(t, "s3://partners/none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("versions of nothing: %v", err)
	}
	plain := parse(t, "s3://plain/bundle.pem")
	put(t, objects, plain, "one", material.Condition{})
	if _, err := objects.Versions(t.Context(), plain); !errors.Is(err, material.ErrNoVersions) {
		t.Errorf("versions of a bucket that keeps none: %v", err)
	}
}

func TestFetchSendsWhatIsUnchangedOnce(t *testing.T) {
	store := testcloud.StartObjectStore(t, "partners")
	store.Use(t)
	client := New()
	bundle := parse(t, "s3://partners/bundle.pem")
	first := put(t, client.Objects(""), bundle, "one", material.Condition{})
	fetcher := client.Fetchers()[material.S3]

	request := material.Request{Reference: bundle, Limit: 10}
	got, err := fetcher.Fetch(t.Context(), request)
	if err != nil || string(got.Data) != "one" || got.Version != first.ID || got.ETag != first.ETag || got.Unchanged {
		t.Fatalf("got %+v, %v", got, err)
	}
	request.Known = got.Validator
	if got, err = fetcher.Fetch(t.Context(), request); err != nil || !got.Unchanged || store.Faults.Answered(http.StatusNotModified) != 1 {
		t.Fatalf("the second time %+v, %v", got, err)
	}
	put(t, client.Objects(""), bundle, "two", material.Condition{})
	if got, err = fetcher.Fetch(t.Context(), request); err != nil || string(got.Data) != "two" {
		t.Fatalf("after a change %+v, %v", got, err)
	}
	request.Reference = bundle.AtVersion(first.ID)
	request.Known = material.Validator{}
	if got, err = fetcher.Fetch(t.Context(), request); err != nil || string(got.Data) != "one" {
		t.Errorf("the pinned version %+v, %v", got, err)
	}
}

func TestFetchSaysWhatIsWrongInTheSameWordsEachTime(t *testing.T) {
	store := testcloud.StartObjectStore(t, "partners")
	store.Use(t)
	client := New()
	bundle := parse(t, "s3://partners/bundle.pem")
	put(t, client.Objects(""), bundle, "more than ten bytes", material.Condition{})
	for name, test := range map[string]struct {
		reference, want string
		fault           testcloud.Fault
		is              error
	}{
		"no object":      {"s3://partners/none", "404 NoSuchKey", testcloud.None, fs.ErrNotExist},
		"no bucket":      {"s3://nobody/bundle.pem", "404 NoSuchBucket", testcloud.None, fs.ErrNotExist},
		"no version":     {"s3://partners/bundle.pem?version=01ARZ3NDEKTSV4RRFFQ69G5FAV", "404", testcloud.None, fs.ErrNotExist},
		"too large":      {"s3://partners/bundle.pem", "larger than the 10 bytes", testcloud.None, nil},
		"denied":         {"s3://partners/bundle.pem", "403 AccessDenied", testcloud.Denied, fs.ErrPermission},
		"broken":         {"s3://partners/bundle.pem", "500 InternalError", testcloud.Broken, nil},
		"no answer":      {"s3://partners/bundle.pem", "connection", testcloud.Gone, nil},
		"half an answer": {"s3://partners/bundle.pem", "cut short", testcloud.CutShort, nil},
	} {
		t.Run(name, func(t *testing.T) {
			store.Faults.Set(test.fault)
			request := material.Request{Reference: parse(t, test.reference), Limit: 10}
			if test.fault == testcloud.CutShort {
				request.Limit = 100
			}
			var texts []string
			for range 2 {
				_, err := client.Fetchers()[material.S3].Fetch(t.Context(), request)
				if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
					t.Fatalf("got %v, want %q", err, test.want)
				}
				texts = append(texts, err.Error())
			}
			if texts[0] != texts[1] || strings.Contains(texts[0], "RequestID") {
				t.Errorf("in other words each time: %q", texts)
			}
		})
	}
}

func TestABucketOfAnotherOwnerIsNeitherReadNorWritten(t *testing.T) {
	var demanded []string
	store := testcloud.StartObjectStore(t, "partners")
	store.Use(t)
	client := New()
	bundle := parse(t, "s3://partners/bundle.pem")
	put(t, client.Objects(""), bundle, "one", material.Condition{})

	store.Faults.Observe(func(r *http.Request) { demanded = append(demanded, r.Header.Get("X-Amz-Expected-Bucket-Owner")) })
	const owner = "123456789012"
	objects := client.Objects(owner)
	for name, attempt := range map[string]func() error{
		"put": func() error {
			_, err := objects.Put(t.Context(), bundle, []byte("two"), material.Condition{})
			return err
		},
		"get":      func() error { _, err := objects.Get(t.Context(), bundle); return err },
		"versions": func() error { _, err := objects.Versions(t.Context(), bundle); return err },
		"fetch": func() error {
			_, err := client.Fetchers()[material.S3].Fetch(t.Context(), material.Request{Reference: bundle, ExpectedOwner: owner, Limit: 10})
			return err
		},
	} {
		demanded = nil
		if err := attempt(); !errors.Is(err, fs.ErrPermission) || len(demanded) != 1 || demanded[0] != owner {
			t.Errorf("%s: %v, demanding the owner %q", name, err, demanded)
		}
	}
	if got, err := client.Objects("").Get(t.Context(), bundle); err != nil || string(got.Data) != "one" {
		t.Errorf("it is now %q, %v", got.Data, err)
	}
}

func TestFetchOfSecrets(t *testing.T) {
	moto := testcloud.StartMoto(t)
	moto.Use(t)
	fetcher := New().Fetchers()[material.SecretsManager]
	request := material.Request{Reference: parse(t, "secretsmanager:sallyport/edge"), Limit: 1000}

	if _, err := fetcher.Fetch(t.Context(), request); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no secret: %v", err)
	}
	var versions []string
	for _, value := range []string{`{"key":"one"}`, `{"key":"two"}`} {
		moto.PutSecret(t, "sallyport/edge", value)
		got, err := fetcher.Fetch(t.Context(), request)
		if err != nil || string(got.Data) != value || got.Version == "" {
			t.Fatalf("got %q, %+v, %v", got.Data, got.Validator, err)
		}
		versions = append(versions, got.Version)
	}
	if versions[0] == versions[1] {
		t.Error("a new value has the version of the old one")
	}
}

func TestSignersOfKMS(t *testing.T) {
	moto := testcloud.StartMoto(t)
	moto.Use(t)
	client := New()
	digest256, digest384 := sha256.Sum256([]byte("text")), sha512.Sum384([]byte("text"))
	for name, test := range map[string]struct {
		spec   types.KeySpec
		alias  string
		hash   crypto.Hash
		digest []byte
	}{
		"P-256":                  {types.KeySpecEccNistP256, "", crypto.SHA256, digest256[:]},
		"P-384":                  {types.KeySpecEccNistP384, "", crypto.SHA384, digest384[:]},
		"RSA":                    {types.KeySpecRsa3072, "", crypto.SHA256, digest256[:]},
		"an alias with capitals": {types.KeySpecEccNistP256, "alias/Partner-CA", crypto.SHA256, digest256[:]},
	} {
		t.Run(name, func(t *testing.T) {
			id := moto.CreateKey(t, test.spec, test.alias)
			if test.alias != "" {
				id = test.alias
			}
			signer, err := client.NewSigner(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := signer.Sign(rand.Reader, test.digest, test.hash)
			if err != nil {
				t.Fatal(err)
			}
			switch public := signer.Public().(type) {
			case *ecdsa.PublicKey:
				if !ecdsa.VerifyASN1(public, test.digest, signature) {
					t.Error("the signature is not the key's")
				}
			case *rsa.PublicKey:
				if err := rsa.VerifyPKCS1v15(public, test.hash, test.digest, signature); err != nil {
					t.Error(err)
				}
			default:
				t.Errorf("a key of type %T", public)
			}
		})
	}
	if _, err := client.NewSigner(t.Context(), "alias/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that is not there: %v", err)
	}
}

func TestWithoutARegionNothingIsAsked(t *testing.T) {
	testcloud.Nowhere().Use(t)
	_, err := New().Objects("").Get(t.Context(), parse(t, "s3://partners/bundle.pem"))
	if err == nil || !strings.Contains(err.Error(), "set AWS_REGION") {
		t.Errorf("got %v", err)
	}
}
