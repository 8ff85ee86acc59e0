package question_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// crowd is a configuration with a gateway, a sidecar behind it, and so many consumers, of whom every second may.
func crowd(consumers int) string {
	var b strings.Builder
	b.WriteString(base)
	for i := range consumers {
		fmt.Fprintf(&b, `
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: c%d}
spec:
  certificates: [{truststore: partners, subject_common_name: c%d}]
  roles: [%s]
  attributes: {areas: [a%d]}`, i, i, []string{"reader", "idler"}[i%2], i%7)
	}
	return b.String()
}

// BenchmarkWhoCanAmongTenThousandConsumers is one question, with the work of the first one.
func BenchmarkWhoCanAmongTenThousandConsumers(b *testing.B) {
	model, err := build(crowd(10_000))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		answer, err := question.New(question.Config{Model: model, Clock: clock}).WhoCan(b.Context(), &adminv1.WhoCanRequest{
			Inquiry: &adminv1.Inquiry{Method: "GET", Url: "https://api.example.org/v1/persons/1"},
		})
		if err != nil || len(answer.GetConsumers()) != 5_000 {
			b.Fatalf("%d consumers, %v", len(answer.GetConsumers()), err)
		}
	}
}
