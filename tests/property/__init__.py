"""What must hold for any parameters: conservation, order of the ledgers, no overbooking."""
