"""Consent strings of version 2, written bit by bit as IAB's layout has them; the reader is `govern.tcf`."""

import base64


def consent(purposes, vendors, ranges=False, version=2):
    """The core segment that agrees to these purposes and vendors; vendors as ranges, or a bit each."""
    bits = f"{version:06b}" + "0" * 146  # times, CMP, language, list and policy versions, flags, special features
    bits += "".join("1" if number in purposes else "0" for number in range(1, 25))
    bits += "0" * 24 + "0" + "0" * 12  # legitimate interests, purpose one treatment, country
    most = max(vendors, default=0)
    bits += f"{most:016b}{int(ranges)}"
    if ranges:
        spans = spans_of(vendors)
        bits += f"{len(spans):012b}"
        bits += "".join(f"0{a:016b}" if a == b else f"1{a:016b}{b:016b}" for a, b in spans)
    else:
        bits += "".join("1" if number in vendors else "0" for number in range(1, most + 1))
    bits += "0" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def spans_of(vendors):
    """[first, last] of each run of neighbours."""
    spans = []
    for vendor in sorted(vendors):
        if spans and spans[-1][1] == vendor - 1:
            spans[-1][1] = vendor
        else:
            spans.append([vendor, vendor])
    return spans
