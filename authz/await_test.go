package authz

import (
	"context"
	"testing"
	"time"
)

func TestWaitingLeavesTimeForTheAnswer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if most := time.Hour - replyMargin; patience(ctx) > most {
		t.Errorf("a call with an hour may wait %v, want at most %v", patience(ctx), most)
	}
	if got := patience(t.Context()); got <= 0 || got > time.Second {
		t.Errorf("a call without a deadline may wait %v", got)
	}
}
