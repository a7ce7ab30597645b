"""What does a conversation consist of: messages, tools and their calls?"""
