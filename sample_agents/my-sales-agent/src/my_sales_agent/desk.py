"""`SalesAgent`: prices, trial and demonstrations."""

from __future__ import annotations

from livekit.agents import Agent, function_tool

WORKING_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")


class SalesAgent(Agent):
    """Sells one product in two plans.

    Args:
        company: Whom the agent talks to; empty when nobody said.
    """

    def __init__(self, company: str = "") -> None:
        customer = f" The caller is from {company}." if company else ""
        super().__init__(
            instructions=f"You are the sales desk. Use your tools, and answer in one short sentence.{customer}"
        )
        self.company = company

    @function_tool
    async def price_list(self) -> str:
        """Tell the prices of the plans."""
        return "The small plan costs ten dollars, and the large plan costs thirty dollars a month."

    @function_tool
    async def book_demonstration(self, day: str) -> str:
        """Book a demonstration on a day.

        Args:
            day: The day of the week.
        """
        if day.strip().lower() not in WORKING_DAYS:
            return "We give demonstrations from Monday to Friday."
        return f"Your demonstration is booked for {day.strip().capitalize()} at two in the afternoon."

    @function_tool
    async def free_trial(self) -> str:
        """Explain the free trial."""
        return "The free trial has every feature, and ends after two weeks."
