"""What a pasted error text of another program can mean, and which probe decides."""

from twoway.doctor.wordings.meaning import explain_text

__all__ = ["explain_text"]
