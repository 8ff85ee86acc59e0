package authz

import (
	"context"
	"testing"
	"time"
)

func TestWaitingLeavesTimeForTheAnswer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if got := patience(ctx); got != maxWait {
		t.Errorf("a call with an hour may wait %v, want %v", got, maxWait)
	}
	short, cancelShort := context.WithTimeout(t.Context(), maxWait/2)
	defer cancelShort()
	if most := maxWait/2 - replyMargin; patience(short) > most {
		t.Errorf("a call with %v may wait %v, want at most %v", maxWait/2, patience(short), most)
	}
	if got := patience(t.Context()); got <= 0 || got > time.Second {
		t.Errorf("a call without a deadline may wait %v", got)
	}
}
