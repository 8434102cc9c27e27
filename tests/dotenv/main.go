// Reads .env files with compose-go and as `docker run --env-file` does: a JSON string a line.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/docker/cli/pkg/kvfile"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var text string
		if err := json.Unmarshal(lines.Bytes(), &text); err != nil {
			panic(err)
		}
		compose, err := dotenv.ParseWithLookup(strings.NewReader(text), func(string) (string, bool) { return "", false })
		var run any
		if pairs, err := kvfile.ParseFromReader(strings.NewReader(text), nil); err == nil {
			read := map[string]string{}
			for _, pair := range pairs {
				name, value, _ := strings.Cut(pair, "=")
				read[name] = value
			}
			run = read
		}
		answer := map[string]any{"compose": nil, "docker-run": run}
		if err == nil {
			answer["compose"] = compose
		}
		if err := out.Encode(answer); err != nil {
			panic(err)
		}
	}
}
