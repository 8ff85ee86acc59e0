package expression

import (
	"errors"
	"sync"
	_ "time/tzdata" // `request.time.getHours('Europe/London')` must not depend on the host's files

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// Bounds of an expression.
const (
	// maxNodes is how many parts an expression may have.
	maxNodes = 1000
	// maxNesting is how deep they may be nested.
	maxNesting = 50
	// maxRegex is the largest regular expression that is compiled while a request waits, in instructions.
	maxRegex = 1000
	// stringsVersion is the version of CEL's extension library for strings: the first that knows what its functions cost.
	stringsVersion = 6
)

// environment is what expressions are checked against: the same for all of them. It fails for a fault in this file only.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	return cel.NewEnv(
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(provider{registry}),
		cel.Variable(NameConsumer, objects[NameConsumer].celType),
		cel.Variable(NameCertificate, objects[NameCertificate].celType),
		cel.Variable(NameToken, objects[NameToken].celType),
		cel.Variable(NameRequest, objects[NameRequest].celType),
		cel.Variable(NamePath, cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable(NameSubject, cel.StringType),
		ext.Strings(ext.StringsVersion(stringsVersion), ext.StringsMaxPrecision(maxPrecision)),
		cel.ExtendedValidations(),
		cel.EnableMacroCallTracking(), // so that what is left of an expression can be written again
		cel.ParserRecursionLimit(maxNesting),
		cel.ExpressionNestingDepthLimit(maxNesting),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
	)
})

// maxPrecision bounds the digits that a format string can ask for.
const maxPrecision = 20

// object is one of the names with fields, as CEL is told of it.
type object struct {
	celType *types.Type
	fields  map[string]*types.FieldType
}

// objects are Facts as they are handed to CEL, each as a pointer that may be nil inside: the fields of a nil one are not
// set, and to read one is an error.
var objects = map[string]object{
	NameConsumer: objectOf(NameConsumer, map[string]*types.FieldType{
		"name":  field(types.StringType, func(c *Consumer) any { return c.Name }, func(c *Consumer) bool { return c.Name != "" }),
		"roles": field(stringList, func(c *Consumer) any { return c.Roles }, func(c *Consumer) bool { return len(c.Roles) > 0 }),
		"attributes": field(types.NewMapType(types.StringType, stringList),
			func(c *Consumer) any { return c.attributes }, func(c *Consumer) bool { return len(c.attributes) > 0 }),
		"labels": field(types.NewMapType(types.StringType, types.StringType),
			func(c *Consumer) any { return c.Labels }, func(c *Consumer) bool { return len(c.Labels) > 0 }),
	}),
	NameCertificate: objectOf(NameCertificate, map[string]*types.FieldType{
		"subject_dn":  text(func(c *Certificate) string { return c.SubjectDN }),
		"issuer_dn":   text(func(c *Certificate) string { return c.IssuerDN }),
		"common_name": text(func(c *Certificate) string { return c.CommonName }),
		"serial":      text(func(c *Certificate) string { return c.Serial }),
		"sha256":      text(func(c *Certificate) string { return c.SHA256 }),
		"spki_sha256": text(func(c *Certificate) string { return c.SPKISHA256 }),
		"not_before":  field(types.TimestampType, func(c *Certificate) any { return c.NotBefore }, always[*Certificate]),
		"not_after":   field(types.TimestampType, func(c *Certificate) any { return c.NotAfter }, always[*Certificate]),
		"uris":        field(stringList, func(c *Certificate) any { return c.URIs }, func(c *Certificate) bool { return len(c.URIs) > 0 }),
		"dns_names":   field(stringList, func(c *Certificate) any { return c.DNSNames }, func(c *Certificate) bool { return len(c.DNSNames) > 0 }),
	}),
	NameToken: objectOf(NameToken, map[string]*types.FieldType{
		"subject":   text(func(t *Token) string { return t.Subject }),
		"issuer":    text(func(t *Token) string { return t.Issuer }),
		"provider":  text(func(t *Token) string { return t.Provider }),
		"client_id": text(func(t *Token) string { return t.ClientID }),
		"audiences": field(stringList, func(t *Token) any { return t.Audiences }, func(t *Token) bool { return len(t.Audiences) > 0 }),
		"roles":     field(stringList, func(t *Token) any { return t.Roles }, func(t *Token) bool { return len(t.Roles) > 0 }),
		"scopes":    field(stringList, func(t *Token) any { return t.Scopes }, func(t *Token) bool { return len(t.Scopes) > 0 }),
		"issued_at": said(field(types.TimestampType, func(t *Token) any { return t.IssuedAt }, func(t *Token) bool { return !t.IssuedAt.IsZero() }), errNoIssuedAt),
		"expires":   field(types.TimestampType, func(t *Token) any { return t.Expires }, always[*Token]),
		"claims": field(types.NewMapType(types.StringType, types.DynType),
			func(t *Token) any { return t.Claims }, func(t *Token) bool { return len(t.Claims) > 0 }),
	}),
	NameRequest: objectOf(NameRequest, map[string]*types.FieldType{
		"method":  text(func(r *Request) string { return r.Method }),
		"host":    text(func(r *Request) string { return r.Host }),
		"path":    text(func(r *Request) string { return r.Path }),
		"gateway": text(func(r *Request) string { return r.Gateway }),
		"route":   text(func(r *Request) string { return r.Route }),
		"time":    field(types.TimestampType, func(r *Request) any { return r.Time }, always[*Request]),
	}),
}

var stringList = types.NewListType(types.StringType)

func objectOf(name string, fields map[string]*types.FieldType) object {
	return object{types.NewObjectType(typeName(name)), fields}
}

// typeName is the name of an object's type. That of the value would hide the value.
func typeName(name string) string { return "sallyport." + name }

// Why a fact cannot be read that a request does not have.
var (
	errNoConsumer    = errors.New("the caller is none of our consumers")
	errNoCertificate = errors.New("the caller has no certificate that a truststore vouches for")
	errNoToken       = errors.New("the caller has no token")
	errNoIssuedAt    = errors.New("the token does not say when it was issued")
	errNoRequest     = errors.New("there is no request")
)

func (*Consumer) missing() error    { return errNoConsumer }
func (*Certificate) missing() error { return errNoCertificate }
func (*Token) missing() error       { return errNoToken }
func (*Request) missing() error     { return errNoRequest }

// fact is a pointer to one of the objects.
type fact[T any] interface {
	*T
	missing() error
}

// field makes a field of an object from how it is read, and from when it counts as set.
func field[T any, P fact[T]](of *types.Type, get func(P) any, set func(P) bool) *types.FieldType {
	return &types.FieldType{
		Type: of,
		IsSet: func(target any) bool {
			from, ok := target.(P)
			return ok && from != nil && set(from)
		},
		GetFrom: func(target any) (any, error) {
			from, ok := target.(P)
			if !ok || from == nil {
				return nil, P(nil).missing()
			}
			return get(from), nil
		},
	}
}

// said makes it an error to read a field that is not set, in place of a value that would be a lie.
func said(of *types.FieldType, otherwise error) *types.FieldType {
	get := of.GetFrom
	of.GetFrom = func(target any) (any, error) {
		value, err := get(target)
		if err == nil && !of.IsSet(target) {
			return nil, otherwise
		}
		return value, err
	}
	return of
}

func text[T any, P fact[T]](get func(P) string) *types.FieldType {
	return field(types.StringType, func(from P) any { return get(from) }, func(from P) bool { return get(from) != "" })
}

func always[P any](P) bool { return true }

// provider tells CEL of the objects.
type provider struct{ types.Provider }

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if o, ok := objectNamed(name); ok {
		return types.NewTypeTypeWithParam(o.celType), true
	}
	return p.Provider.FindStructType(name)
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	for of, names := range fields {
		if typeName(of) == name {
			return names, true
		}
	}
	return p.Provider.FindStructFieldNames(name)
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if o, ok := objectNamed(name); ok {
		of, found := o.fields[field]
		return of, found
	}
	return p.Provider.FindStructFieldType(name, field)
}

func (p provider) NewValue(name string, values map[string]ref.Val) ref.Val {
	if _, ok := objectNamed(name); ok {
		return types.NewErr("there is only one %s", name)
	}
	return p.Provider.NewValue(name, values)
}

func objectNamed(name string) (object, bool) {
	for of, o := range objects {
		if typeName(of) == name {
			return o, true
		}
	}
	return object{}, false
}

// ResolveName gives CEL the value of a name; Facts are the variables of an evaluation, without a map of them.
func (f *Facts) ResolveName(name string) (any, bool) {
	switch name {
	case NameConsumer:
		return f.Consumer, true
	case NameCertificate:
		return f.Certificate, true
	case NameToken:
		return f.Token, true
	case NameRequest:
		return &f.Request, true
	case NamePath:
		return f.Path, true
	case NameSubject:
		return f.Subject, true
	}
	return nil, false
}

// Parent is nil: there are no variables around Facts.
func (f *Facts) Parent() cel.Activation { return nil }
