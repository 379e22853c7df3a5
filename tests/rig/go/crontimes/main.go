// Command crontimes answers what Kubernetes' CronJob controller would: when a schedule runs.
//
// Each line of its input is JSON: a schedule, a time zone, and seconds since 1970 from and to.
// Each line of its output is JSON too: all runs after "from" up to "to", asked as the controller
// asks, each from the one before; or the parser's error. At most "most" runs.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

type question struct {
	Cron string `json:"cron"`
	Zone string `json:"zone"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Most int    `json:"most"`
}

type answer struct {
	Runs  []int64 `json:"runs"`
	Error string  `json:"error,omitempty"`
}

// parse does as the controller's formatSchedule and ParseCronScheduleWithPanicRecovery do.
func parse(text string) (schedule cron.Schedule, err error) {
	defer func() {
		if said := recover(); said != nil {
			err = fmt.Errorf("panic: %v", said)
		}
	}()
	return cron.ParseStandard(text)
}

func reply(asked question) answer {
	schedule, err := parse("TZ=" + asked.Zone + " " + asked.Cron)
	if err != nil {
		return answer{Error: err.Error()}
	}
	runs := []int64{}
	now := time.Unix(asked.From, 0).UTC()
	for len(runs) < asked.Most {
		now = schedule.Next(now)
		if now.IsZero() || now.Unix() > asked.To {
			break
		}
		runs = append(runs, now.Unix())
	}
	return answer{Runs: runs}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := out.Encode(reply(asked)); err != nil {
			os.Exit(1)
		}
	}
}
