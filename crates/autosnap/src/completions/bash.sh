# Completion of cv4pve-autosnap for bash. The program itself says what could stand at the cursor.

_cv4pve_autosnap() {
    local line=${COMP_LINE:0:${COMP_POINT:-0}} rest blanks part typed found candidate cursor offset index
    local -a words=()
    COMPREPLY=()
    # bash cuts words at "=", ":" and "@" as well: what no blank parts is put together again.
    rest=$line
    for ((index = 0; index <= COMP_CWORD; index++)); do
        part=${COMP_WORDS[index]}
        blanks=${rest%%[![:space:]]*}
        rest=${rest#"$blanks"}
        [[ -n $line && $index -eq $COMP_CWORD ]] && part=$rest
        if [[ -z $line || -n $blanks || $index -eq 0 ]]; then
            words[${#words[@]}]=$part
        else
            words[${#words[@]} - 1]+=$part
        fi
        rest=${rest#"$part"}
    done
    words=("${words[@]//[\"\'\\]/}")
    typed=${words[${#words[@]} - 1]}
    cursor=${2//[\"\'\\]/}
    # Only what stands behind the last cut is replaced.
    offset=$((${#typed} - ${#cursor}))
    found=$("${1/#\~/$HOME}" complete -- "${words[@]:1}" 2>/dev/null)
    while IFS= read -r candidate; do
        candidate=${candidate%%$'\t'*}
        [[ -n $candidate ]] || continue
        candidate=${candidate:offset}
        [[ $2 == [\"\']* ]] || candidate=${candidate// /\\ }
        COMPREPLY[${#COMPREPLY[@]}]=$candidate
    done <<<"$found"
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[-/=:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}

# Old ones sort, and cannot be told not to.
complete -F _cv4pve_autosnap -o nosort -o bashdefault -o default cv4pve-autosnap 2>/dev/null ||
    complete -F _cv4pve_autosnap -o bashdefault -o default cv4pve-autosnap
