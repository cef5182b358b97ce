"""`SupportAgent` and what it knows."""

from __future__ import annotations

from livekit.agents import Agent, function_tool

ORDERS = {
    3: "is still in our warehouse, and leaves tomorrow morning",
    5: "was delivered yesterday, and your neighbor has it",
    7: "is on the truck, and arrives on Friday",
}


class SupportAgent(Agent):
    """Answers questions about orders, opening hours and returns."""

    def __init__(self) -> None:
        super().__init__(
            instructions=(
                "You are the support desk of a small online shop. Use your tools, and answer in one short sentence."
            )
        )

    @function_tool
    async def order_status(self, order_number: int) -> str:
        """Tell where an order is.

        Args:
            order_number: The number of the order.
        """
        status = ORDERS.get(order_number)
        if status is None:
            return f"There is no order with the number {order_number}."
        return f"Order number {order_number} {status}."

    @function_tool
    async def opening_hours(self) -> str:
        """Tell the opening hours."""
        return "We are open every day from nine in the morning until six in the evening."

    @function_tool
    async def return_parcel(self) -> str:
        """Explain how to return a parcel."""
        return "Put the green label on the box, and take it to any post office."
