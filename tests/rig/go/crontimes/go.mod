// The parser of Kubernetes' CronJob controller, as a program to compare with
// (tests/integration/plan/test_cronjob_times.py).
module backstay.dev/rig/crontimes

go 1.23.0

require github.com/robfig/cron/v3 v3.0.1
