"""Whether callers hear and understand the notices."""

from collections.abc import Iterator

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.media.notice_quality import judge, measure, samples_of


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Judge each as it will be played; what cannot be played is the configuration's."""
    if patient.material is None:
        return
    for name, sound in sorted(patient.material.notices.items()):
        figures = measure(samples_of(sound))
        remarks = list(judge(figures))
        for remark in remarks:
            make = found.wrong if remark.wrong else found.warning
            yield make(f"{name}: {remark.text}", remark.remedy)
        if not remarks:
            yield found.right(
                f"{name}: {figures.seconds:.1f} s at {figures.level:.0f} dBov"
            )
