package expression

import "testing"

func BenchmarkCondition(b *testing.B) {
	for _, source := range []string{
		"consumer.name == 'mapps'",
		"!has(path.prison_id) || path.prison_id in consumer.attributes.prisons",
		"certificate.not_after - request.time > duration('24h')",
	} {
		b.Run(source, func(b *testing.B) {
			c, facts := condition(b, source), mapps()
			b.ReportAllocs()
			for b.Loop() {
				if holds, err := c.Holds(facts); !holds || err != nil {
					b.Fatal(holds, err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		condition(b, "!has(path.prison_id) || path.prison_id in consumer.attributes.prisons")
	}
}
