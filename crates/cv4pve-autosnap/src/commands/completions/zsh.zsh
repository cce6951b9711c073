#compdef cv4pve-autosnap
# Completion of cv4pve-autosnap for zsh. The program prints the candidates for the word at the cursor.

_cv4pve-autosnap() {
    local typed=${(Q)PREFIX} lead line word help
    local -a lines done_words done_shown open_words open_shown
    # Words are sent to stdin: arguments are visible to all users, and a word may be a secret.
    lines=("${(@f)$(print -rN -- "${(@Q)words[2,CURRENT-1]}" "$typed" |
        "${${(Q)words[1]}/#\~/$HOME}" complete 2>/dev/null)}")
    # The text up to the last separator is kept; only the rest is completed.
    compset -P '*[=:,]'
    lead=${typed%"${(Q)PREFIX}"}
    for line in $lines; do
        word=${${line%%$'\t'*}#"$lead"}
        help=${line#*$'\t'}
        [[ -n $help ]] && help="$word  -- $help" || help=$word
        # No space after a word that can be continued.
        if [[ $word == *[-/=:] ]]; then
            open_words+=("$word")
            open_shown+=("$help")
        else
            done_words+=("$word")
            done_shown+=("$help")
        fi
    done
    compadd -V open -S '' -M 'm:{a-zA-Z}={A-Za-z}' -l -d open_shown -a open_words
    compadd -V done -M 'm:{a-zA-Z}={A-Za-z}' -l -d done_shown -a done_words
    (( ${#open_words} + ${#done_words} ))
}

if [[ $funcstack[1] == _cv4pve-autosnap ]]; then
    _cv4pve-autosnap "$@"
else
    compdef _cv4pve-autosnap cv4pve-autosnap
fi
