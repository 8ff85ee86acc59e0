package routing

import (
	"fmt"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// condition is one demand of a route on a request.
type condition func(request) bool

// request is what the conditions look at.
type request struct {
	method string
	// path is normalised, and without its query.
	path    string
	headers map[string][]string
}

// compileMatch makes the conditions of a match. It fails for anything that package translate does not generate.
func compileMatch(match *routev3.RouteMatch) ([]condition, error) {
	known := map[protoreflect.Name]bool{"prefix": true, "path": true, "path_separated_prefix": true, "safe_regex": true, "headers": true}
	if unknown := otherField(match, known); unknown != "" {
		return nil, fmt.Errorf("the match has a field that is not simulated: %s", unknown)
	}
	byPath, err := compilePath(match)
	if err != nil {
		return nil, err
	}
	conditions := []condition{byPath}
	for _, header := range match.GetHeaders() {
		byHeader, err := compileHeader(header)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, byHeader)
	}
	return conditions, nil
}

// otherField names a field that is set and not among the known ones, or is empty.
func otherField(message proto.Message, known map[protoreflect.Name]bool) (name string) {
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !known[field.Name()] {
			name = string(field.Name())
		}
		return name == ""
	})
	return name
}

func compilePath(match *routev3.RouteMatch) (condition, error) {
	switch path := match.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		return func(r request) bool { return strings.HasPrefix(r.path, path.Prefix) }, nil
	case *routev3.RouteMatch_Path:
		return func(r request) bool { return r.path == path.Path }, nil
	case *routev3.RouteMatch_PathSeparatedPrefix:
		return func(r request) bool {
			rest, found := strings.CutPrefix(r.path, path.PathSeparatedPrefix)
			return found && (rest == "" || rest[0] == '/')
		}, nil
	case *routev3.RouteMatch_SafeRegex:
		expression, err := fullMatch(path.SafeRegex)
		if err != nil {
			return nil, err
		}
		return func(r request) bool { return expression.MatchString(r.path) }, nil
	}
	return nil, fmt.Errorf("the match has no path that is simulated")
}

// fullMatch compiles an expression as Envoy uses it: it has to match the whole text.
func fullMatch(matcher *matcherv3.RegexMatcher) (*regexp.Regexp, error) {
	return regexp.Compile(`\A(?:` + matcher.GetRegex() + `)\z`)
}

func compileHeader(matcher *routev3.HeaderMatcher) (condition, error) {
	known := map[protoreflect.Name]bool{"name": true, "string_match": true, "present_match": true}
	if unknown := otherField(matcher, known); unknown != "" {
		return nil, fmt.Errorf("the match of the header %q has a field that is not simulated: %s", matcher.GetName(), unknown)
	}
	name := strings.ToLower(matcher.GetName())
	if matcher.GetPresentMatch() {
		return func(r request) bool { return len(r.values(name)) > 0 }, nil
	}
	equal, err := compileText(matcher.GetStringMatch())
	if err != nil {
		return nil, fmt.Errorf("the match of the header %q: %w", name, err)
	}
	// Of several headers of one name, any may match; Envoy does not join them here.
	return func(r request) bool {
		for _, value := range r.values(name) {
			if equal(value) {
				return true
			}
		}
		return false
	}, nil
}

// values returns the values of a header, or of the one pseudo-header that matches are generated for.
func (r request) values(name string) []string {
	if name == ":method" {
		return []string{r.method}
	}
	return r.headers[name]
}

func compileText(matcher *matcherv3.StringMatcher) (func(string) bool, error) {
	switch pattern := matcher.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		if !matcher.GetIgnoreCase() {
			return func(text string) bool { return text == pattern.Exact }, nil
		}
	case *matcherv3.StringMatcher_SafeRegex:
		expression, err := fullMatch(pattern.SafeRegex)
		if err != nil {
			return nil, err
		}
		return expression.MatchString, nil
	}
	return nil, fmt.Errorf("a form of text match that is not simulated")
}
