// Runs the tests of h2spec against a server, each with a path that its request is meant for, and prints one line of
// JSON per test: what h2spec itself prints has no ids.
//
//	h2spec PORT plain|tls
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// Groups with a POST, which must not be answered before its body; all others ask for a page.
var posts = map[string]bool{"http2/6.1": true, "http2/8.1": true, "http2/8.1.2.1": true, "http2/8.1.2.6": true}

type result struct {
	ID, Title, Verdict, Actual string
}

func verdict(tc *spec.TestCase) (string, string) {
	switch {
	case tc.Result == nil || tc.Result.Skipped:
		return "skipped", ""
	case !tc.Result.Failed:
		return "passed", ""
	}
	if e, ok := tc.Result.Error.(*spec.TestError); ok {
		return "failed", e.Actual
	}
	return "failed", tc.Result.Error.Error()
}

func run(g *spec.TestGroup, c config.Config, out *json.Encoder) error {
	c.Path = "/ready"
	if posts[g.ID()] {
		c.Path = "/ingest?name=h2spec"
	}
	for i, tc := range append(g.Tests, g.StrictTests...) {
		if err := tc.Test(&c, i+1); err != nil {
			return err
		}
		is, actual := verdict(tc)
		if err := out.Encode(result{fmt.Sprintf("%s/%d", g.ID(), i+1), tc.Desc, is, actual}); err != nil {
			return err
		}
	}
	for _, sub := range g.Groups {
		if err := run(sub, c, out); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	port, err := strconv.Atoi(os.Args[1])
	c := config.Config{Host: "127.0.0.1", Port: port, Timeout: 5 * time.Second, MaxHeaderLen: 4000, Strict: true,
		TLS: os.Args[2] == "tls", Insecure: true}
	out := json.NewEncoder(os.Stdout)
	os.Stdout, _ = os.Open(os.DevNull) // h2spec's own report
	for _, g := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		if err == nil {
			err = run(g, c, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
