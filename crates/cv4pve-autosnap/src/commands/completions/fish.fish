# Completion of cv4pve-autosnap for fish. The program prints the candidates for the word at the cursor.

function __cv4pve_autosnap_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l typed (commandline --current-token --cut-at-cursor)
    set -l program (string replace --regex '^~' $HOME -- $words[1])
    set --erase words[1]
    # Words are sent to stdin: arguments are visible to all users, and a word may be a secret.
    printf '%s\0' $words (string unescape -- "$typed"; or echo "$typed") | $program complete 2>/dev/null
end

complete --command cv4pve-autosnap --erase
complete --command cv4pve-autosnap --keep-order --no-files --arguments '(__cv4pve_autosnap_complete)'
