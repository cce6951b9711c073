# Completion of cv4pve-autosnap for bash. The program prints the candidates for the word at the cursor.

# Unquotes a part of the line into "plain"; sets "quote" to the quote that is open at its end.
_cv4pve_autosnap_read() {
    local text=$1 letter at
    plain='' quote=''
    for ((at = 0; at < ${#text}; at++)); do
        letter=${text:at:1}
        if [[ $letter == \\ && (-z $quote || $quote == \" && ${text:at+1:1} == [\\\"\$\`]) ]]; then
            at=$((at + 1))
            plain+=${text:at:1}
        elif [[ $letter == "$quote" ]]; then
            quote=''
        elif [[ -z $quote && $letter == [\"\'] ]]; then
            quote=$letter
        else
            plain+=$letter
        fi
    done
}

# Quotes a name from the cluster, which is untrusted, for use after the open quote $2; sets "written".
_cv4pve_autosnap_write() {
    local text=$1 letter at
    written=''
    if [[ -z $2 ]]; then
        [[ -z $text ]] || printf -v text %q "$text"
        # A comma needs no backslash if braces are quoted.
        written=${text//\\,/,}
        return
    fi
    for ((at = 0; at < ${#text}; at++)); do
        letter=${text:at:1}
        case $2$letter in
            \'\') letter="'\\''" ;;
            \"[\\\"\$\`]) letter=\\$letter ;;
            # History expansion also works in double quotes.
            \"!) letter="\"'!'\"" ;;
        esac
        written+=$letter
    done
}

_cv4pve_autosnap() {
    local line=${COMP_LINE:0:${COMP_POINT:-0}} rest spaces part raw plain quote written found candidate offset index
    local -a words=() meant=()
    COMPREPLY=()
    # bash also splits words at "=", ":" and "@": join the parts that have no space between them.
    rest=$line
    for ((index = 0; index <= COMP_CWORD; index++)); do
        part=${COMP_WORDS[index]}
        spaces=${rest%%[![:space:]]*}
        rest=${rest#"$spaces"}
        [[ -n $line && $index -eq $COMP_CWORD ]] && part=$rest
        if [[ -z $line || -n $spaces || $index -eq 0 ]]; then
            words[${#words[@]}]=$part
        else
            words[${#words[@]} - 1]+=$part
        fi
        rest=${rest#"$part"}
    done
    for raw in "${words[@]:1}"; do
        _cv4pve_autosnap_read "$raw"
        meant[${#meant[@]}]=$plain
    done
    # bash replaces only the part after the last split.
    _cv4pve_autosnap_read "${raw%"$2"}"
    offset=${#plain}
    _cv4pve_autosnap_read "$raw"
    # Words are sent to stdin: arguments are visible to all users, and a word may be a secret.
    found=$(printf '%s\0' "${meant[@]}" | "${1/#\~/$HOME}" complete 2>/dev/null)
    while IFS= read -r candidate; do
        candidate=${candidate%%$'\t'*}
        [[ -n $candidate ]] || continue
        _cv4pve_autosnap_write "${candidate:offset}" "$quote"
        COMPREPLY[${#COMPREPLY[@]}]=$written
    done <<<"$found"
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[-/=:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}

# Old versions of bash lack "nosort".
complete -F _cv4pve_autosnap -o nosort -o bashdefault -o default cv4pve-autosnap 2>/dev/null ||
    complete -F _cv4pve_autosnap -o bashdefault -o default cv4pve-autosnap
