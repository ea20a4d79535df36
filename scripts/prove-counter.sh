#!/usr/bin/env bash
# Compares the token counter with tiktoken-rs on everything: every token and every character in every position, some
# 400,000 random and adversarial strings, the texts of this repository and of the cargo registry, and those of the
# folders given as arguments. Prints the number of comparisons and of differences; fails if there is one, or if there
# were fewer than three million comparisons. Takes some minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

texts=$(IFS=:; echo "$*")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
TALLYHOOK_PROOF=long TALLYHOOK_PROOF_TEXTS=$texts \
  cargo test --release --locked -p tallyhook-counter --test tiktoken -- --nocapture --test-threads=1 | tee "$log"
awk '
  / comparisons, .* differences$/ {
    sub(/^.*: /, "")
    comparisons += $1; bytes += $3; refused += $5; differences += $9
  }
  END {
    printf "\ntotal: %d comparisons of %d bytes, %d refused by tiktoken-rs, %d differences\n", \
      comparisons, bytes, refused, differences
    exit comparisons < 3000000 || differences > 0
  }' "$log"
