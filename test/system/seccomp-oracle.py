"""Compares programs of ours with those of libseccomp: reads JSON lines of profiles and programs, writes what differs.

Needs Debian's python3-seccomp. A line: {profile, program (base64), calls: [[number, arch, [arguments]]]}.
"""
import base64
import json
import struct
import sys
import tempfile

import seccomp

OPERATORS = {
    "SCMP_CMP_" + name: getattr(seccomp, name) for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
}


def action(name, errno):
    plain = {
        "SCMP_ACT_KILL": seccomp.KILL,
        "SCMP_ACT_KILL_THREAD": seccomp.KILL,
        "SCMP_ACT_KILL_PROCESS": seccomp.KILL_PROCESS,
        "SCMP_ACT_TRAP": seccomp.TRAP,
        "SCMP_ACT_ALLOW": seccomp.ALLOW,
        "SCMP_ACT_LOG": seccomp.LOG,
        "SCMP_ACT_NOTIFY": seccomp.NOTIFY,
    }
    if name == "SCMP_ACT_ERRNO":
        return seccomp.ERRNO(errno)
    return seccomp.TRACE(errno) if name == "SCMP_ACT_TRACE" else plain[name]


def compare(argument):
    operator = OPERATORS[argument["op"]]
    values = [int(argument["value"])]
    if argument["op"] == "SCMP_CMP_MASKED_EQ":
        values.append(int(argument["valueTwo"]) & values[0])
    return seccomp.Arg(argument["index"], operator, *values)


def theirs(profile):
    made = seccomp.SyscallFilter(action(profile["defaultAction"], profile.get("defaultErrnoRet", 1)))
    for name in profile.get("architectures", []):
        native = seccomp.Arch(name[len("SCMP_ARCH_") :].lower())
        if not made.exist_arch(native):
            made.add_arch(native)
    for rule in profile["syscalls"]:
        for name in rule["names"]:
            try:
                made.add_rule(action(rule["action"], rule.get("errnoRet", 1)), name, *map(compare, rule.get("args", [])))
            except (RuntimeError, ValueError):
                pass  # what runc passes over: unknown names, what the default says already
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def run(program, number, arch, arguments):
    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments)
    accumulator, at = 0, 0
    while True:
        code, yes, no, operand = struct.unpack_from("<HBBI", program, at * 8)
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x05:
            at += operand
        elif code == 0x15:
            at += yes if accumulator == operand else no
        elif code == 0x25:
            at += yes if accumulator > operand else no
        elif code == 0x35:
            at += yes if accumulator >= operand else no
        elif code == 0x06:
            return operand
        else:
            raise ValueError(f"instruction {code:#x}")


checked = 0
for line in sys.stdin:
    case = json.loads(line)
    expected = theirs(case["profile"])
    ours = base64.b64decode(case["program"])
    for number, arch, arguments in case["calls"]:
        arguments = [int(value) for value in arguments]
        checked += 1
        want, got = run(expected, number, arch, arguments), run(ours, number, arch, arguments)
        if want != got:
            print(json.dumps({"profile": case["profile"], "call": [number, hex(arch), arguments], "want": hex(want), "got": hex(got)}))
print(f"checked {checked}")
