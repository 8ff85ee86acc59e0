package jose

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestOneObjectIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]map[string]any{
		`{}`:                                  {},
		" \t\r\n{ \"a\" : [ ] , \"b\":{ } } ": {"a": []any{}, "b": map[string]any{}},
		`{"a":[1,-1,0,-0,1.5,-0.5e-3,2E2,9223372036854775807,-9223372036854775808]}`: {"a": []any{
			int64(1), int64(-1), int64(0), int64(0), 1.5, -0.0005, 200.0, int64(9223372036854775807), int64(-9223372036854775808)}},
		`{"a":true,"b":false,"c":null}`:                             {"a": true, "b": false, "c": nil},
		`{"":"","A":1,"a":2}`:                                       {"": "", "A": int64(1), "a": int64(2)},
		`{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude80 é🚀\ufffd\u007f"}`: {"a": "\"\\/\b\f\n\r\té🚀 é🚀\ufffd\u007f"},
		`{"a":{"x":1},"b":{"x":1}}`:                                 {"a": map[string]any{"x": int64(1)}, "b": map[string]any{"x": int64(1)}},
	} {
		got, err := readObject(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %#v (%v), want %#v", text, got, err, want)
		}
	}
}

func TestWhatOthersCouldReadDifferentlyIsRefused(t *testing.T) {
	for _, text := range []string{
		``, ` `, `x`, `null`, `1`, `"a"`, `[]`, `{`, `}`, `{}{}`, `{} x`, `{},`, "{}\x00", "\ufeff{}", "{}\v", "\u00a0{}",
		`{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{"a":1 "b":2}`, `{"a":1;"b":2}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{"a"=1}`, `{"a":1`,
		`{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1`, `{"a":[`, `{"a":[1}}`, `{"a":tru}`, `{"a":True}`, `{"a":nul`, `{"a":truefalse}`,
		`{"a":1,"a":1}`, `{"a":1,"\u0061":2}`, `{"\u0061":1,"\u0061":2}`, `{"/":1,"\/":2}`, `{"é":1,"\u00e9":2}`, `{"b":[{"a":1,"a":2}]}`,
		`{"a":01}`, `{"a":-}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":1e+}`, `{"a":0x1}`, `{"a":1_000}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":1n}`, `{"a":--1}`,
		`{"a":9223372036854775808}`, `{"a":1e400}`, `{"a":-1e400}`, `{"a":1.` + strings.Repeat("0", 64) + `}`,
		`{"a":"`, `{"a":"\`, `{"a":"\u`, `{"a":"\u00`, `{"a":"\u00zz"}`, `{"a":"\u+061"}`, `{"a":"\x61"}`, `{"a":"\'"}`, `{"a":"\U00000061"}`,
		"{\"a\":\"\n\"}", "{\"a\":\"\t\"}", "{\"a\":\"\x00\"}", "{\"a\":\"\\n\x00\"}", `{"a":"\u0000"}`, `{"\u0000":1}`,
		`{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800\ud800"}`, `{"a":"\ud800\n"}`, `{"a":"\ud800\u0061"}`, `{"a":"\ud800x"}`, `{"\ud800":1}`,
		"{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"\xff\":1}",
		`{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17),
		strings.Repeat(`{"a":`, 100_000), `{"a":` + strings.Repeat("[", 100_000),
	} {
		got, err := readObject(text)
		var refusal *objectError
		if !errors.As(err, &refusal) || got != nil {
			t.Errorf("%.40q is read as %v (%v)", text, got, err)
		}
	}
	if _, err := readObject(strings.Repeat(`{"a":`, 16) + "1" + strings.Repeat("}", 16)); err != nil {
		t.Errorf("16 objects within one another: %v", err)
	}
}

// FuzzReadObject looks for a text that is read otherwise than encoding/json reads it, or although encoding/json refuses it.
func FuzzReadObject(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":[1,-2.5e3,true,null,{"b":"\u00e9\ud83d\ude80"}]}`, `{"alg":"RS256","\u0061lg":"none"}`, `{"exp":1900000000.5,"aud":["a"]}`,
		`{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":01}`, `{"a":1e999}`, `{"a":9223372036854775808}`, ` { "a" : 1 } `, `{"a":"\/"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readObject(text)
		if err != nil {
			return
		}
		var want map[string]any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&want); err != nil {
			t.Fatalf("%q is accepted, which encoding/json refuses: %v", text, err)
		}
		if !reflect.DeepEqual(any(got), numbers(t, want)) {
			t.Fatalf("%q is read as %#v, by encoding/json as %#v", text, got, want)
		}
	})
}

// numbers are the numbers of a value as readObject has them.
func numbers(t *testing.T, value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			value[name] = numbers(t, member)
		}
	case []any:
		for i, element := range value {
			value[i] = numbers(t, element)
		}
	case json.Number:
		if !strings.ContainsAny(value.String(), ".eE") {
			n, err := value.Int64()
			if err != nil {
				t.Fatalf("%s was accepted: %v", value, err)
			}
			return n
		}
		n, err := value.Float64()
		if err != nil {
			t.Fatalf("%s was accepted: %v", value, err)
		}
		return n
	}
	return value
}
